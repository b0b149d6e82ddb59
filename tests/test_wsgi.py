import signal
import subprocess
import sys

DYING = """
import threading
from service.wsgi import end_worker

def die():
    raise LookupError("of a kind that nobody thought of")

threading.excepthook = end_worker
threading.Thread(target=die, name="store-keeper").start()
threading.Event().wait(30)
"""


def test_a_worker_ends_with_its_threads() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGTERM
    assert "thread died: store-keeper" in ended.stderr
    assert "LookupError: of a kind that nobody thought of" in ended.stderr
