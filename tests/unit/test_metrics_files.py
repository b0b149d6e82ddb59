import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lookbook.server import metrics_folder
from lookbook.telemetry.metrics_files import is_intact

# Counts to three and prints what /metrics would show.
COUNTING = """
import sys
from lookbook.telemetry import metrics_files

metrics_files.use(int(sys.argv[1]))
from prometheus_client import Counter, generate_latest

events = Counter("events", "What happened", ["label"])
for label in ("a", "b", "b"):
    events.labels(label).inc()
print(generate_latest(metrics_files.registry()).decode())
"""


def count(folder: Path, number: int) -> str:
    """What a worker of this number reports after it has counted to three."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", COUNTING, str(number)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the metrics of worker 1."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert 'events_total{label="b"} 2.0' in count(tmp_path, 1)
    return tmp_path


def test_the_blocks_of_a_file_are_reserved(folder: Path) -> None:
    stat = (folder / "counter_1.db").stat()
    assert stat.st_blocks * 512 >= stat.st_size > 0


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in the head": lambda content: content[:5],
    "cut in a value": lambda content: content[:50],
    "random bytes": lambda content: bytes(range(256)) * 16,
    "endless": lambda content: content[:8] + b"\xec\xff\xff\xff" + content[12:],
    "longer than it is": lambda content: b"\xff\xff\xff\x7f" + content[4:],
    "negative": lambda content: b"\xff\xff\xff\xff" + content[4:],
    "no JSON": lambda content: content.replace(b"[", b"("),
    "other JSON": lambda content: content.replace(b'{"label": "a"}', b'["label", "a"]'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_does_not_hide_the_others(folder: Path, damage: str) -> None:
    content = (folder / "counter_1.db").read_bytes()
    for name in ("counter_99999.db", "histogram_99999.db", "gauge_livesum_99999.db"):
        (folder / name).write_bytes(DAMAGES[damage](content))
        assert not is_intact(folder / name)
    assert 'events_total{label="b"} 4.0' in count(folder, 2)


def test_a_file_of_another_name_is_ignored(folder: Path) -> None:
    (folder / "other.db").write_bytes((folder / "counter_1.db").read_bytes())
    assert 'events_total{label="b"} 4.0' in count(folder, 2)


def test_the_damaged_files_of_a_worker_that_has_ended_are_removed(folder: Path) -> None:
    (folder / "histogram_1.db").touch()
    metrics_folder.forget(1)
    assert [path.name for path in folder.iterdir()] == ["counter_1.db"]


def test_after_many_workers_their_files_are_continued(folder: Path) -> None:
    for number in range(2, 20):
        metrics_folder.prepare(number, [])
        assert f'events_total{{label="b"}} {2.0 * number}' in count(folder, number)
    assert len(list(folder.iterdir())) == 5


def test_the_files_of_running_workers_are_left_alone(folder: Path) -> None:
    for number in range(2, 10):
        metrics_folder.prepare(number, range(1, number))
        count(folder, number)
    assert len(list(folder.iterdir())) == 9
