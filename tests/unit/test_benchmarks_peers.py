"""The comparison with other servers: what it counts, and how it writes it down."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lookbook.model.bundle import read_bundle

from benchmarks.cases import SMALL, Sample
from benchmarks.errors import BenchmarkError
from benchmarks.peers import bodies, process_tree, report
from benchmarks.peers.adapters.classifier import Classifier
from benchmarks.peers.measuring import Figures
from benchmarks.peers.peers import FLASK, Peer, Start
from benchmarks.peers.running import run
from tests.support.places import BAG, MLP, ROOT, UINT8

LOCKS = sorted((ROOT / "benchmarks/peers/requirements").glob("*.txt"))
FIGURES = Figures(
    cpu=2,
    rate=1000,
    p50=1,
    p99=2,
    switches=3,
    memory=4,
    ready_seconds=5,
    open_p50=None,
    open_p99=None,
    open_failed=None,
)
# Uses CPU time and says so.
CHILD = "import sys, time\nwhile time.process_time() < 0.2: pass\nprint('used', flush=True)\nsys.stdin.read()"


@pytest.mark.parametrize(
    ("bundle", "image", "label"), [(MLP, BAG, "Bag"), (UINT8, UINT8 / "golden/green.png", "Green")]
)
def test_the_peers_classify_like_a_server(
    monkeypatch: pytest.MonkeyPatch, bundle: Path, image: Path, label: str
) -> None:
    monkeypatch.setenv("MODEL", str(bundle))
    found, score = Classifier().classify(image.read_bytes())
    golden = {golden.path: max(golden.scores) for golden in read_bundle(bundle).golden}
    assert found == label
    assert score == pytest.approx(golden[image], abs=0.02)


def test_a_tree_counts_the_children() -> None:
    command = ["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin
        assert shell.stdout
        assert shell.stdout.readline() == "used\n"
        assert len(list(process_tree.processes(shell.pid))) == 2
        used = process_tree.usage(shell.pid)
        assert used.cpu_seconds >= 0.1
        assert used.switches > 0
        assert process_tree.memory(shell.pid) > 1
        shell.stdin.close()


def failing(starts: Path, count: int) -> Peer:
    """A server that ends at once as often as this, and adds a line to a file whenever it starts."""
    script = f"echo >>{starts}; test $(wc -l <{starts}) -gt {count} && exec $0 -m http.server --bind 127.0.0.1 $PORT"

    def prepare(_: Sample, port: int, folder: Path) -> Start:
        return Start(("sh", "-c", script, sys.executable), {"PORT": str(port)}, folder)

    return Peer("server", prepare, bodies.raw, path="/", ready="/")


def test_a_server_that_ends_before_it_is_ready_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    with run(failing(starts, 1), SMALL) as running:
        assert running.process.poll() is None
    assert starts.read_text() == "\n" * 2


def test_a_server_that_always_ends_is_given_up(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    with pytest.raises(BenchmarkError, match="the server is not ready"), run(failing(starts, 9), SMALL):
        pass
    assert starts.read_text() == "\n" * 3


def test_the_table_has_medians_ranges_and_shares_of_the_same_round() -> None:
    runs: dict[str, list[Figures | None]] = {
        FLASK: [dataclasses.replace(FIGURES, cpu=cpu) for cpu in (1, 2, 4)],
        "other": [None, *(dataclasses.replace(FIGURES, cpu=cpu) for cpu in (4, 2))],
    }
    *_, flask, other = report.costs(runs)
    assert flask.startswith(f"| {FLASK} | 1.00 | 2.00 (1.00 to 4.00) | 1,000 | 1.0 | 2.0 |  |")
    assert other.startswith("| other | 1.25 (0.50 to 2.00) | 3.00 (2.00 to 4.00) |")


def test_a_plot_reads_the_table_of_the_page() -> None:
    runs: dict[str, list[Figures | None]] = {
        FLASK: [dataclasses.replace(FIGURES, rate=rate) for rate in (1, 900, 1000)]
    }
    page = "\n".join(["text", "### 28x28 PNG", "", *report.costs(runs), "", "### Another", "text"])
    cells = report.read(page)["28x28 PNG"][FLASK]
    assert report.figures(cells["CPU ms"]) == (2, 2, 2)
    assert report.figures(cells["requests/s"]) == (900, 1, 1000)


def test_the_tables_replace_those_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin: make peers -->\nold\n<!-- end: make peers -->\nafter\n")
    report.write("new", "peers", page)
    assert page.read_text() == "before\n<!-- begin: make peers -->\n\nnew\n\n<!-- end: make peers -->\nafter\n"


@pytest.mark.parametrize("target", ["peers", "stall"])
def test_the_page_has_the_marks(target: str) -> None:
    marks = f"<!-- begin: make {target} -->\n.*<!-- end: make {target} -->\n"
    assert re.search(marks, report.PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_peers_run_the_same_engine_from_locked_requirements(lock: Path) -> None:
    content = lock.read_text()
    packages = re.findall(r"^[\w.\[\]-]+==", content, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[\w.\[\]-]+==[^\n]*\\\n    --hash=", content, re.MULTILINE)) > 5
    assert "index-url" not in content
    # TensorFlow has an engine of its own.
    engine, ours = ("tensorflow-cpu", "-training") if lock.stem == "tensorflow" else ("ai-edge-litert", "")
    for library in (engine, "pillow"):
        version = re.compile(rf"^{library}==\S+", re.MULTILINE)
        assert version.findall(content) == version.findall((ROOT / f"requirements{ours}.txt").read_text()) != []
