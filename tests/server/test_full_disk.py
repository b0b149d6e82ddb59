"""The real server when something that it can do without fails, such as the disk for temporary files."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.places import BAG
from tests.support.requirements import lacking
from tests.support.running import Service, until

PATHS = (
    "/",
    "/docs",
    "/livez",
    "/readyz",
    "/metrics",
    "/nowhere",
    "/openapi.json",
    "/v1/model",
    "/v1/predictions",
    "/v1/predictions?limit=x",
    "/v1/predictions/x",
    "/api/tasks",
    "/v2",
    "/v2/health/live",
    "/v2/models/x",
    "/v2/models/fashion-mnist-mlp",
)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 200 kB for temporary files."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        lacking("mounting a small disk needs permission: run as root")
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "fill").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            continue


def request_everything(service: Service) -> None:
    """Request every route, method, and status, each of which is counted."""
    for path in PATHS:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            assert requests.request(method, f"{service.url}{path}", timeout=5).status_code < 500


def kill_worker(service: Service) -> None:
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: service.workers() not in ([], [worker]))
    service.ready()


def has_ended(pid: int) -> bool:
    """Whether all threads of a process have ended, even if its parent has not waited for it yet."""
    # The first thread can be a zombie while others still hold the files. The command's name, in parentheses, may hold
    # anything: see proc_pid_stat(5).
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


def stored(service: Service) -> float:
    """Number of predictions by /metrics."""
    lines = requests.get(f"{service.url}/metrics", timeout=5).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("lookbook_predictions_total{"))


def test_a_full_disk_for_temporary_files_ends_nothing(serve: Callable[..., Service], small_disk: Path) -> None:
    service = serve().ready()
    worker = service.workers()
    assert service.send(BAG.read_bytes()).status_code == 201
    fill(small_disk)
    request_everything(service)
    assert service.workers() == worker
    for _ in range(3):
        kill_worker(service)
        assert service.send(BAG.read_bytes()).status_code == 201
    request_everything(service)
    assert stored(service) == 4
    assert "SIGBUS" not in service.log.read_text()


def test_a_disk_that_is_full_for_new_workers_costs_metrics_and_one_line(
    serve: Callable[..., Service], small_disk: Path
) -> None:
    service = serve().ready()
    service.process.send_signal(signal.SIGSTOP)
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: has_ended(worker))  # so that removing its files frees the disk now
    for file in small_disk.glob("lookbook-metrics-*/*.db"):
        file.unlink()
    fill(small_disk)
    service.process.send_signal(signal.SIGCONT)
    service.ready()
    for _ in range(3):
        assert service.send(BAG.read_bytes()).status_code == 201
    assert requests.get(f"{service.url}/metrics", timeout=5).text == ""
    assert service.log.read_text().count("metrics are incomplete: cannot enlarge") == 1


def test_without_a_place_for_temporary_files_there_are_no_metrics(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only = " && ".join(
        f"mount --bind {path} {path} && mount -o remount,ro,bind {path}" for path in ("/tmp", "/var/tmp")
    )
    prefix = ("unshare", "--mount", "sh", "-c", f'{read_only} && cd /proc && exec "$@"', "sh")
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        lacking("making folders read-only needs permission to mount: run as root")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    store = Path("/dev/shm") / tmp_path.name
    store.mkdir()
    try:
        service = serve(prefix, sqlite_path=store / "store.sqlite").ready()
        assert service.send(BAG.read_bytes()).status_code == 201
        assert requests.get(f"{service.url}/metrics", timeout=5).text == ""
        assert service.log.read_text().count("there are no metrics") == 1
        kill_worker(service)
        assert service.stop() == 0
    finally:
        for file in store.iterdir():
            file.unlink()
        store.rmdir()


def test_a_folder_of_metrics_that_is_removed_costs_nothing_else(
    serve: Callable[..., Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    service = serve().ready()
    (folder,) = tmp_path.glob("lookbook-metrics-*")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    request_everything(service)
    kill_worker(service)
    request_everything(service)
    assert service.send(BAG.read_bytes()).status_code == 201
    assert service.stop() == 0


def test_workers_that_end_at_once_start_with_growing_pauses(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    started = set()
    ends = time.monotonic() + 9
    while time.monotonic() < ends:
        for worker in service.workers():
            started.add(worker)
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.02)
    assert 3 <= len(started) <= 6
    service.ready()
    assert "the next one starts in 4 s" in service.log.read_text()
