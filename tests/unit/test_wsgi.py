import signal
import subprocess
import sys
from pathlib import Path

DYING = """
import threading
from lookbook.server.wsgi import end_worker

def die():
    raise LookupError("unexpected")

threading.excepthook = end_worker
threading.Thread(target=die, name="store-keeper").start()
threading.Event().wait(30)
"""

BUILDING = """
import gc, sys
from lookbook.settings import Settings
from lookbook.server.wsgi import build

app = build(Settings(sqlite_path=sys.argv[1]))
print(len(gc.get_objects()))
"""


def test_a_worker_shuts_down_when_a_thread_dies() -> None:
    ended = subprocess.run([sys.executable, "-c", DYING], capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGTERM
    assert "a thread ended unexpectedly, restarting this worker: store-keeper" in ended.stderr
    assert "LookupError: unexpected" in ended.stderr


def test_garbage_collection_skips_what_a_worker_has_built(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-c", BUILDING, str(tmp_path / "store.sqlite")], capture_output=True, text=True, timeout=60
    )
    assert int(built.stdout) < 2000, built.stderr
