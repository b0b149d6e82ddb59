"""`lookbook batch classify`: sources, the store, Parquet, and jobs that are stopped and started again."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from math import inf
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest
from lookbook.cli.batch.lock import locked
from lookbook.errors import LookbookError
from lookbook.job import Job, job_tag, now
from lookbook.model.bundle import Bundle
from lookbook.settings import Settings
from lookbook.spark import register, worker
from lookbook.spark.batch import Run, Summary, start_job, task_count
from lookbook.spark.session import reason
from lookbook.spark.source import read_source
from lookbook.store.cassandra import CassandraStore
from lookbook.store.opening import open_store
from lookbook.store.sqlite import SqliteStore
from py4j.protocol import Py4JJavaError
from pyarrow import parquet
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from tests.support.places import BAG, GOLDEN, MLP
from tests.support.predictions import walk
from tests.support.running import until
from tests.support.truths import day_of

IMAGES = 300
WORKER = """
import sys
from math import inf
from lookbook.job import Job, now
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.settings import Settings
from lookbook.spark import source, worker

path, model, *images = sys.argv[1:]
settings, folder = Settings(sqlite_path=path), find_bundle(model)
plan = worker.Plan(Job("spring", now(), read_bundle(folder).digest, 3), str(folder), settings, False, inf)
for work in (worker.to_store, worker.to_table):
    for batch in work(plan, print, iter([source._paths(images)])):
        print(batch.num_rows)
print([name for name in ("pandas", "pyarrow.parquet", "flask", "click") if name in sys.modules])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in folders, a file that is no image, and one that is broken."""
    root = tmp_path / "images"
    for number, source in enumerate(GOLDEN):
        path = root / ("" if number % 3 else "deep/er") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
    (root / "notes.md").write_text("not an image")
    (root / "broken.png").write_bytes(BAG.read_bytes()[:60])
    return root


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(sqlite_path=str(tmp_path / "store.sqlite"), model=str(MLP))


@pytest.fixture
def store(settings: Settings) -> Iterator[SqliteStore]:
    with closing(SqliteStore(settings.sqlite_path, lambda _: None)) as store:
        yield store


class Jobs:
    """Runs jobs on the shared session."""

    def __init__(self, session: SparkSession, settings: Settings, bundle: Bundle, rejects: Path) -> None:
        self.session, self.rejects = session, rejects
        self.run = Run(session, settings, bundle, MLP, None)

    def store(self, source: Path | str, name: str = "spring") -> Summary:
        images = read_source(self.session, str(source))
        return self.run.store(images, images.count(), name, str(self.rejects), lambda counts: None)

    def table(self, source: Path | str, target: Path) -> Summary:
        images = read_source(self.session, str(source))
        return self.run.table(images, images.count(), str(target), lambda counts: None)

    def rejected(self) -> list[dict[str, Any]]:
        return [json.loads(line) for file in self.rejects.glob("*.json") for line in file.read_text().splitlines()]


@pytest.fixture
def jobs(session: SparkSession, settings: Settings, bundle: Bundle, tmp_path: Path) -> Jobs:
    return Jobs(session, settings, bundle, tmp_path / "rejects")


def test_images_of_a_folder_are_stored(jobs: Jobs, folder: Path, store: SqliteStore, bundle: Bundle) -> None:
    summary = jobs.store(folder)
    found = walk(store, 100)
    assert {item.file_name for item in found} == {path.name for path in folder.rglob("*.png")} - {"broken.png"}
    assert {(item.model_name, item.model_version) for item in found} == {(bundle.name, bundle.version)}
    assert {job_tag(item.id) for item in found} == {store.jobs()[0].tag}
    assert summary.labels == Counter(item.label for item in found)
    assert (summary.rejects, summary.before) == (1, 0)
    ((reject),) = jobs.rejected()
    assert (Path(reject["path"]).name, reject["code"]) == ("broken.png", "invalid_image")
    assert store.thumbnail(found[0].id)
    # As few as these are all in the sample, with what the model saw.
    days = {day_of(item) for item in found}
    assert {sample.id for day in days for sample in store.samples(day, 100)} == {item.id for item in found}
    assert all(kept and kept.kind == "pixels" for kept in (store.input(item.id) for item in found))


def test_rejects_are_listed_if_there_is_no_folder_for_them(jobs: Jobs, folder: Path) -> None:
    images = read_source(jobs.session, str(folder))
    summary = jobs.run.store(images, images.count(), "spring", None, lambda counts: None)
    (reject,) = map(json.loads, summary.listed)
    assert (reject["path"], reject["code"]) == (str(folder / "broken.png"), "invalid_image")
    assert not jobs.rejects.exists()


def test_only_the_first_rejects_are_listed(jobs: Jobs, tmp_path: Path) -> None:
    paths = sorted(f"/nowhere/{number}.png" for number in range(3_000))
    (tmp_path / "list.txt").write_text("\n".join([*paths, str(BAG)]))
    images = read_source(jobs.session, str(tmp_path / "list.txt"))
    summary = jobs.run.store(images, images.count(), "spring", None, lambda counts: None)
    assert [json.loads(line)["path"] for line in summary.listed] == paths[:1_000]
    assert (summary.reasons, summary.labels.total()) == ({"unreadable": 3_000}, 1)


def test_a_worker_loads_only_what_it_needs(settings: Settings, folder: Path) -> None:
    arguments = (settings.sqlite_path, MLP, folder / "1.png", folder / "broken.png")
    ended = subprocess.run([sys.executable, "-c", WORKER, *map(str, arguments)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1::2] == ["1", "2"]
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_file_whose_name_is_not_utf_8_is_a_reject(jobs: Jobs, folder: Path) -> None:
    shutil.copy(BAG, folder / os.fsdecode(b"\xff.png"))
    summary = jobs.store(folder)
    assert {Path(reject["path"]).name for reject in jobs.rejected()} == {"broken.png", "\ufffd.png"}
    assert summary.reasons == {"invalid_image": 1, "unreadable": 1}


def test_rejects_do_not_replace_other_files(jobs: Jobs, folder: Path, store: SqliteStore) -> None:
    jobs.rejects = folder
    with pytest.raises(LookbookError, match=f"the rejects would replace {folder}, which has other files such as file:"):
        jobs.store(folder)
    assert (folder / "1.png").exists()
    assert store.jobs() == []


def test_the_same_job_again_changes_nothing(jobs: Jobs, folder: Path, store: SqliteStore) -> None:
    jobs.store(folder)
    before = walk(store, 100)
    summary = jobs.store(folder)
    assert walk(store, 100) == before
    assert (summary.labels.total(), summary.before, summary.rejects) == (0, len(before), 1)
    assert len(jobs.rejected()) == 1


def test_another_job_makes_predictions_of_its_own(jobs: Jobs, folder: Path, store: SqliteStore) -> None:
    jobs.store(folder)
    jobs.store(folder, "fall")
    assert len({item.id for item in walk(store, 100)}) == 2 * len(GOLDEN)
    assert [job.name for job in store.jobs()] == ["fall", "spring"]


def test_a_job_with_another_bundle_is_refused(jobs: Jobs, folder: Path, store: SqliteStore) -> None:
    store.start_job(Job("spring", now(), "other", 3))
    with pytest.raises(LookbookError, match="job spring was started with another bundle"):
        jobs.store(folder)
    assert walk(store, 100) == []


def test_a_bundle_that_differs_on_a_worker_is_named(
    jobs: Jobs, folder: Path, settings: Settings, bundle: Bundle
) -> None:
    jobs.run = Run(jobs.session, settings, replace(bundle, digest="other"), MLP, None)
    with pytest.raises(PythonException) as raised:
        jobs.store(folder / "1.png")
    assert reason(raised.value).startswith(f"the bundle in {MLP} on {os.uname().nodename} differs from the one that")


def test_an_old_job_cannot_be_resumed(jobs: Jobs, folder: Path, store: SqliteStore, bundle: Bundle) -> None:
    store.start_job(Job.of("spring", 1_700_000_000_000_000, bundle.digest, 3))
    with pytest.raises(LookbookError, match="job spring was started on 2023-11-14 and can no longer be resumed"):
        jobs.store(folder)


def test_a_deleted_prediction_does_not_come_back(jobs: Jobs, folder: Path, store: SqliteStore) -> None:
    jobs.store(folder)
    deleted, *others = walk(store, 100)
    store.delete(deleted.id)
    jobs.store(folder)
    assert walk(store, 100) == others


@pytest.mark.cassandra
def test_a_job_and_its_table_on_cassandra(
    session: SparkSession, cassandra: Settings, bundle: Bundle, folder: Path, tmp_path: Path
) -> None:
    settings = replace(cassandra, retention=24 * 60 * 60)
    jobs = Jobs(session, settings, bundle, tmp_path / "rejects")
    with closing(CassandraStore(settings, lambda _: None)) as store:
        jobs.store(folder)
        before = walk(store, 100)
        assert {item.file_name for item in before} == {path.name for path in folder.rglob("?.png")}
        store.delete(before[0].id)
        summary = jobs.store(folder)
        assert (summary.before, walk(store, 100)) == (len(before) - 1, before[1:])
    register(session)
    table = session.read.format("lookbook").options(store="cassandra", **_login(settings)).load()
    assert {row.id for row in table.collect()} == {str(item.id) for item in before[1:]}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("cassandra", marks=pytest.mark.cassandra)])
def test_two_runs_at_once_store_each_image_once(
    kind: str, request: pytest.FixtureRequest, settings: Settings, bundle: Bundle, many: Path
) -> None:
    if kind == "cassandra":
        settings = request.getfixturevalue("cassandra")
    paths, step, together = sorted(map(str, many.iterdir())), 50, Barrier(2, timeout=60)
    batches = [pa.record_batch({"path": paths[start : start + step]}) for start in range(0, IMAGES, step)]

    def in_step() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            together.wait()
            yield batch

    def run(number: int) -> tuple[Job, bool]:
        own = replace(settings, max_pixels=settings.max_pixels - number)  # for a store of its own, as a process has
        with closing(worker.store_of(own)) as store:
            together.wait()
            job, resumed = start_job(store, Job("spring", now(), bundle.digest, IMAGES))
            counts: list[Counter[str]] = []
            # Neither sees what the other one has stored: each stores all images.
            plan = worker.Plan(job, str(MLP), own, False, inf)
            rejects = sum(map(len, worker.to_store(plan, counts.append, in_step())))
        assert (rejects, sum(count.total() for count in counts)) == (0, IMAGES)
        return job, resumed

    with ThreadPoolExecutor(2) as pool:
        (job, one), (same, other) = pool.map(run, range(2))
    assert (job, {one, other}) == (same, {False, True})
    with closing(open_store(settings, lambda _: None)) as store:
        until(lambda: store.status().reached)
        found = walk(store, 100)
        assert sorted(item.id for item in found) == sorted(map(job.id_of, paths))
        sampled = [sample.id for day in {day_of(item) for item in found} for sample in store.samples(day, 1_000)]
        assert sorted(sampled) == sorted(map(job.id_of, paths))


@pytest.mark.parametrize("form", ["glob", "text", "paths", "contents", "url", "file"])
def test_sources(form: str, jobs: Jobs, folder: Path, store: SqliteStore, tmp_path: Path) -> None:
    files = sorted(folder.rglob("?.png"))
    table: dict[str, list[Any]] = {"path": list(map(str, files))}
    if form == "glob":
        jobs.store(folder / "**/?.png")
    elif form == "text":
        (tmp_path / "list.txt").write_text("\n".join(table["path"]) + "\n\n")
        jobs.store(tmp_path / "list.txt")
    elif form == "paths":
        parquet.write_table(pa.table(table), tmp_path / "list.parquet")
        jobs.store(tmp_path / "list.parquet")
    elif form == "contents":
        table |= {"path": [path.name for path in files], "content": [path.read_bytes() for path in files]}
        parquet.write_table(pa.table(table), tmp_path / "list.parquet")
        jobs.store(tmp_path / "list.parquet")
    elif form == "url":
        jobs.store(f"file://{folder}")
    else:
        files = files[:1]
        jobs.store(files[0])
    assert sorted(item.file_name for item in walk(store, 100)) == sorted(path.name for path in files)


def test_tasks_are_of_one_size_and_bounded() -> None:
    counts = [task_count(total, 2) for total in (0, 3, 100, 2_000 * 8, 2_000 * 8 + 1, 10**9)]
    assert counts == [1, 3, 8, 8, 9, 20_000]


def test_a_missing_source_is_named(session: SparkSession, tmp_path: Path) -> None:
    for name in ("nowhere", "nowhere/*.png", "nowhere.txt", "nowhere.parquet", "file:///nowhere"):
        source = name if ":" in name else str(tmp_path / name)
        with pytest.raises(LookbookError, match="not found"):
            read_source(session, source)


def test_a_table_needs_paths(session: SparkSession, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"url": ["a"], "content": [b""]}), tmp_path / "list.parquet")
    with pytest.raises(LookbookError, match="has the columns url, content; it needs path"):
        read_source(session, str(tmp_path / "list.parquet"))


def test_predictions_as_parquet(jobs: Jobs, folder: Path, tmp_path: Path, store: SqliteStore) -> None:
    target = tmp_path / "out"
    summary = jobs.table(folder, target)
    rows = parquet.read_table(target).to_pylist()
    assert len(rows) == len(GOLDEN) + 1
    assert Counter(row["label"] for row in rows if row["outcome"] == "predictions") == summary.labels
    (reject,) = [row for row in rows if row["outcome"] == "rejects"]
    assert (Path(reject["path"]).name, reject["code"], reject["label"]) == ("broken.png", "invalid_image", None)
    shutil.copy(BAG, folder / "new.png")
    summary = jobs.table(folder, target)
    assert (summary.labels.total(), summary.before) == (1, len(rows))
    assert parquet.read_table(target).num_rows == len(rows) + 1
    assert walk(store, 10) == []


def test_a_stopped_job_keeps_what_it_has_written_to_parquet(jobs: Jobs, many: Path, tmp_path: Path) -> None:
    waits = many / "0.png"
    waits.unlink()
    os.mkfifo(waits)  # reading it never ends
    (tmp_path / "list.txt").write_text("\n".join(map(str, many.iterdir())))

    def stop(counts: Counter[str]) -> None:
        if counts.total():
            jobs.session.sparkContext.cancelAllJobs()

    images = read_source(jobs.session, str(tmp_path / "list.txt"))
    target = tmp_path / "out"
    with pytest.raises(Py4JJavaError, match="cancelled"):
        jobs.run.table(images, IMAGES, str(target), stop)
    written = parquet.read_table(target).num_rows
    assert 0 < written < IMAGES
    waits.unlink()
    shutil.copy(BAG, waits)
    summary = jobs.table(many, target)
    assert (summary.before, summary.labels.total()) == (written, IMAGES - written)


def test_predictions_of_two_models_are_not_mixed(jobs: Jobs, folder: Path, tmp_path: Path, bundle: Bundle) -> None:
    jobs.table(folder, tmp_path / "out")
    jobs.run = Run(jobs.session, Settings(), replace(bundle, version="9.9.9"), MLP, None)
    with pytest.raises(LookbookError, match=r"holds predictions of .* 2\.2\.0, not of .* 9\.9\.9"):
        jobs.table(folder, tmp_path / "out")


class Command:
    """`lookbook batch classify` as a process."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        environment = {**os.environ, "LOOKBOOK_SQLITE_PATH": settings.sqlite_path, "LOOKBOOK_MODEL": str(MLP)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lookbook", "batch", "classify", *arguments],
            env=environment,
            cwd=Path(settings.sqlite_path).parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=180)
        return self.process.returncode, output, errors


@pytest.fixture
def many(tmp_path: Path) -> Path:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(IMAGES):
        shutil.copy(GOLDEN[number % len(GOLDEN)], root / f"{number}.png")
    return root


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_job_goes_on(number: signal.Signals, many: Path, settings: Settings, store: SqliteStore) -> None:
    arguments = (str(many), "--job", "spring", "--conf", "spark.master=local[2,4]")
    slow = Command(settings, *arguments, "--writes-per-second", "20", "--conf", "spark.driver.memory=1g")
    until(lambda: walk(store, 1000), 120)
    os.killpg(slow.process.pid, number) if number == signal.SIGKILL else slow.process.send_signal(number)
    code, _, errors = slow.wait()
    before = {item.id for item in walk(store, 1000)}
    assert 0 < len(before) < IMAGES, "the job was not stopped in between"
    if number == signal.SIGINT:
        assert code == 130
        assert "stopped: run the same command again to classify the rest" in errors
    code, output, errors = Command(settings, *arguments).wait()
    assert code == 0, errors
    (job,) = store.jobs()
    after = walk(store, 1000)
    assert {item.id for item in after} == {job.id_of(str(path)) for path in many.iterdir()}
    assert len(after) == IMAGES
    assert f"classified by an earlier run: {len(before)}\n" in output


def test_a_killed_worker_is_replaced(jobs: Jobs, many: Path, settings: Settings, store: SqliteStore) -> None:
    killed: list[int] = []

    def kill_one(counts: Counter[str]) -> None:
        if counts and not killed:
            killed.extend(_workers()[:1])
            os.kill(killed[0], signal.SIGKILL)

    jobs.run = Run(jobs.session, settings, jobs.run._model, MLP, 100)
    images = read_source(jobs.session, str(many))
    summary = jobs.run.store(images, IMAGES, "spring", str(jobs.rejects), kill_one)
    assert killed
    (job,) = store.jobs()
    assert {item.id for item in walk(store, 1000)} == {job.id_of(str(path)) for path in many.iterdir()}
    assert summary.labels.total() + summary.before >= IMAGES


@pytest.mark.usefixtures("java")
@pytest.mark.parametrize("target", ["--job=spring", "--parquet=spring-rejects"])
def test_the_same_command_at_once_is_refused(target: str, settings: Settings, folder: Path, tmp_path: Path) -> None:
    with locked(str(tmp_path / "spring-rejects")):
        code, _, errors = Command(settings, str(folder), target).wait()
    assert code == 1
    assert "another command is writing to spring-rejects: wait until it ends, or choose another folder" in errors
    assert not (tmp_path / "spring-rejects").exists()


def test_usage(tmp_path: Path) -> None:
    for arguments, message in (
        ([str(tmp_path)], "give either --job NAME, to store the predictions, or --parquet FOLDER"),
        ([str(tmp_path), "--parquet", "a", "--rejects", "b"], "--writes-per-second are for --job"),
        ([str(tmp_path), "--parquet", "a", "--writes-per-second", "5"], "--rejects and --writes-per-second are for"),
        ([str(tmp_path), "--job", "a", "--conf", "spark"], "is not KEY=VALUE"),
    ):
        run = Command(Settings(sqlite_path=str(tmp_path / "x.sqlite")), *arguments)
        code, _, errors = run.wait()
        assert (code, message in errors) == (2, True), errors


def test_java_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    code, _, errors = Command(Settings(sqlite_path=str(tmp_path / "x.sqlite")), str(tmp_path), "--job", "a").wait()
    assert code == 1
    assert f"Spark needs Java 17 or 21, and JAVA_HOME={tmp_path} has no bin/java" in errors


def _login(settings: Settings) -> dict[str, str]:
    names = ("port", "username", "password", "keyspace")
    return {f"cassandra_{name}": str(getattr(settings, f"cassandra_{name}")) for name in names}


def _workers() -> list[int]:
    """Process ids of Spark's Python workers, which are forks of its daemon."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
            command = Path(f"/proc/{parent}/cmdline").read_bytes()
        except OSError:
            continue
        if b"pyspark.daemon" in command:
            found.append(int(path.parent.name))
    return found
