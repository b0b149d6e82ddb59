"""`lookbook export` and `lookbook import`, on both stores."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lookbook.build.labeled import true_labels
from lookbook.errors import LookbookError, StoreUnavailable
from lookbook.export.images import Counts, folder_name, write_images
from lookbook.export.importing import check, load
from lookbook.export.parquet import SCHEMA, read_parquet, write_parquet
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction
from lookbook.settings import Settings
from lookbook.store import Entry, Input, Store
from lookbook.store.rows import scan_patiently
from lookbook.store.sqlite import SqliteStore
from pyarrow import parquet

from benchmarks.rows import dense, fill_sqlite, make_ids
from tests.support.commands import SOURCES, lookbook
from tests.support.places import BAG, ROOT
from tests.support.predictions import fill, made_at
from tests.support.requirements import lacking
from tests.support.truths import judge
from training.data import LABELS, read_photos

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
CLIENTS = ROOT / ".venv-clients/bin/python"


@pytest.fixture
def filled(store: Store) -> list[Prediction]:
    """Predictions of several days, some of them judged; newest first."""
    predictions = fill(store, [START - timedelta(hours=hour) for hour in range(60)], shards=3)
    right = judge(store, predictions[0], predictions[0].label)
    judge(store, predictions[0], "Umbrella", annotator="ben")
    judge(store, predictions[1], "Umbrella")
    judge(store, predictions[2], None)
    judge(store, predictions[0], None, withdraws=right.id)
    return predictions


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return SqliteStore(str(tmp_path / "empty.sqlite"), lambda _: None)


def rows(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return found


def everything(store: Store) -> list[tuple[Prediction, tuple[Judgment, ...]]]:
    found = [prediction for batch in store.scan() for prediction in batch.predictions()]
    return [(prediction, store.judgments(prediction.id)) for prediction in found]


def environment(tmp_path: Path) -> dict[str, Any]:
    return {"LOOKBOOK_SQLITE_PATH": tmp_path / "store.sqlite"}


def test_a_file_has_every_prediction_with_its_ground_truth(
    store: Store, filled: list[Prediction], tmp_path: Path
) -> None:
    assert write_parquet(tmp_path / "a.parquet", store.scan()) == 60
    found = rows(tmp_path / "a.parquet")
    assert [row["id"] for row in found] == [str(prediction.id) for prediction in filled]
    first, newest = found[0], filled[0]
    assert first["created_at"] == newest.created_at
    assert (first["label"], first["score"], first["file_name"]) == (newest.label, newest.score, newest.file_name)
    assert [(entry["label"], entry["score"]) for entry in first["top"]] == list(newest.top)
    assert (first["model_name"], first["model_version"]) == (newest.model_name, newest.model_version)
    assert [row["ground_truth"] for row in found[:4]] == ["Umbrella", "Umbrella", None, None]
    assert [len(row["judgments"]) for row in found[:4]] == [3, 1, 1, 0]


def test_an_import_brings_back_the_same(store: Store, filled: list[Prediction], empty: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    write_parquet(file, store.scan())
    for _ in range(2):  # the second time, everything is there
        check(empty, read_parquet(file))
        assert load(empty, read_parquet(file)) == len(filled)
        assert everything(empty) == everything(store)
    write_parquet(tmp_path / "b.parquet", empty.scan())
    assert rows(tmp_path / "b.parquet") == rows(file)


def test_an_import_goes_into_a_store_of_the_other_kind(
    open_store: Callable[..., Store], empty: Store, tmp_path: Path
) -> None:
    filled = fill(empty, [START - timedelta(minutes=minute) for minute in range(30)])
    judge(empty, filled[3], "Hat")
    write_parquet(tmp_path / "a.parquet", empty.scan())
    other = open_store()
    check(other, read_parquet(tmp_path / "a.parquet"))
    load(other, read_parquet(tmp_path / "a.parquet"))
    assert everything(other) == everything(empty)


@pytest.mark.parametrize("change", ["another", "newer", "older", "different", "judged"])
def test_a_store_with_anything_else_is_refused(empty: Store, tmp_path: Path, change: str) -> None:
    filled = fill(empty, [START - timedelta(hours=hour) for hour in range(3)])
    write_parquet(tmp_path / "a.parquet", empty.scan())
    hours = {"another": -0.5, "newer": 1, "older": -9}
    if change in hours:
        empty.put(Entry(made_at(START + timedelta(hours=hours[change]))))
    elif change == "different":
        empty.put(Entry(replace(filled[1], file_name="other.png")))
    else:
        judge(empty, filled[1], "Hat")
    with pytest.raises(LookbookError, match="the store is not empty"):
        check(empty, read_parquet(tmp_path / "a.parquet"))


def test_a_file_that_someone_changed_is_refused(empty: Store, tmp_path: Path) -> None:
    fill(empty, [START - timedelta(hours=hour) for hour in range(3)])
    write_parquet(tmp_path / "a.parquet", empty.scan())
    table = parquet.read_table(tmp_path / "a.parquet")

    def refusal(changed: pa.Table) -> str:
        parquet.write_table(changed, tmp_path / "b.parquet")
        with pytest.raises(LookbookError) as caught:
            check(SqliteStore(str(tmp_path / "other.sqlite"), lambda _: None), read_parquet(tmp_path / "b.parquet"))
        return str(caught.value)

    def with_column(name: str, values: list[object]) -> pa.Table:
        return table.set_column(
            SCHEMA.get_field_index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )

    assert "the column label does not agree" in refusal(with_column("label", ["Hat"] * 3))
    assert "the column ground_truth does not agree" in refusal(with_column("ground_truth", ["Hat", None, None]))
    assert "needs labels with scores from 0 to 1" in refusal(with_column("top", [[{"label": "Hat", "score": 7}]] * 3))
    assert "needs labels" in refusal(with_column("top", [[]] * 3))
    assert "badly formed" in refusal(with_column("id", ["one", "two", "three"]))
    assert "is not an ID that Lookbook makes" in refusal(
        with_column("id", [str(table["id"][0]).replace("-1", "-4", 1)] * 3)
    )
    assert "is not sorted" in refusal(pa.concat_tables([table[2:], table[:2]]))
    assert "its columns are not those" in refusal(table.drop_columns(["top"]))
    (tmp_path / "b.parquet").write_bytes(b"no parquet")


def test_a_failed_export_leaves_the_old_file(empty: Store, tmp_path: Path) -> None:
    fill(empty, [START])
    file = tmp_path / "a.parquet"
    file.write_bytes(b"old")

    def failing() -> Any:
        yield from empty.scan()
        raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable):
        write_parquet(file, failing())
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.glob("*a.parquet*")] == ["a.parquet"]


def test_a_scan_goes_on_after_an_outage(
    store: Store, filled: list[Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookbook.store.rows._PAUSE_SECONDS", 0.01)
    scans = []

    def failing(since: Any, until: Any) -> Any:
        scans.append(until)
        for number, batch in enumerate(store.scan(since, until)):
            if len(scans) < 4 and number == 1:
                raise StoreUnavailable("gone")
            yield batch

    monkeypatch.setattr("lookbook.store.sqlite.store.BATCH_ROWS", 10)
    monkeypatch.setattr("lookbook.store.cassandra.scanner._READ_ROWS", 10)
    found = [prediction for batch in scan_patiently(failing) for prediction in batch.predictions()]
    assert found == filled
    assert len(scans) == 4


def test_a_row_costs_little(empty: Store, tmp_path: Path) -> None:
    """12 microseconds of CPU time; `make exports` measures about 6."""
    fill_sqlite(str(tmp_path / "empty.sqlite"), make_ids(dense(50_000, time.time_ns())))
    began = time.process_time()
    assert write_parquet(tmp_path / "a.parquet", empty.scan()) == 50_000
    assert (time.process_time() - began) / 50_000 < 12e-6


READ = """
import sys, duckdb, pandas, polars
file = sys.argv[1]
print(duckdb.sql(f"SELECT label, count(*), min(created_at)::VARCHAR FROM '{file}' GROUP BY 1 ORDER BY 1").fetchall())
print(duckdb.sql(f"SELECT top[1].label FROM '{file}' LIMIT 1").fetchall())
frame = polars.read_parquet(file)
print(frame.height, frame["created_at"].dtype, frame["ground_truth"].drop_nulls().to_list())
table = pandas.read_parquet(file)
print(len(table), table["created_at"].dtype, table["score"].mean(), len(table["judgments"][0]))
"""


@pytest.mark.parametrize("open_store", ["sqlite"], indirect=True)
def test_duckdb_polars_and_pandas_read_a_file(store: Store, filled: list[Prediction], tmp_path: Path) -> None:
    if not CLIENTS.exists():
        lacking("no .venv-clients: make it with `make clients`", "CLIENTS")
    write_parquet(tmp_path / "a.parquet", store.scan())
    command = [str(CLIENTS), "-c", READ, str(tmp_path / "a.parquet")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "TZ": "UTC"})
    assert ended.returncode == 0, ended.stderr
    by_label, top, polars, pandas = ended.stdout.splitlines()
    assert by_label.startswith("[('Bag', 20, '2026-01-29 03:00:00+00'), ('Coat', 20,")
    assert top == f"[('{filled[0].label}',)]"
    assert polars == "60 Datetime(time_unit='us', time_zone='UTC') ['Umbrella', 'Umbrella']"
    assert pandas == "60 datetime64[us, UTC] 0.75 3"


def test_the_commands_copy_a_store(tmp_path: Path, serve: Callable[..., Any]) -> None:
    service = serve(sqlite_path=tmp_path / "store.sqlite").ready()
    id = service.send(BAG.read_bytes()).json()["id"]
    ended = lookbook("export", tmp_path / "a.parquet", **environment(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{tmp_path}/a.parquet: 1 prediction\n", "")
    copy = tmp_path / "copy.sqlite"
    ended = lookbook("import", tmp_path / "a.parquet", LOOKBOOK_SQLITE_PATH=copy)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert serve(sqlite_path=copy).ready().all_ids() == {id}


@pytest.mark.cassandra
def test_the_commands_use_cassandra(cassandra: Settings, tmp_path: Path) -> None:
    names = ("store", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    settings = {f"LOOKBOOK_{name.upper()}": getattr(cassandra, name) for name in names}
    ended = lookbook("export", tmp_path / "a.parquet", **settings)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{tmp_path}/a.parquet: 0 predictions\n", "")


def test_a_period_is_exported(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None)
    filled = fill(store, [START - timedelta(hours=hour) for hour in range(5)])
    period = ("--since", "2026-01-31T09:00Z", "--until", "2026-01-31T12:00Z")
    assert lookbook("export", tmp_path / "a.parquet", *period, **environment(tmp_path)).returncode == 0
    assert [row["id"] for row in rows(tmp_path / "a.parquet")] == [str(item.id) for item in filled[1:4]]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "name either FILE.parquet or --images FOLDER"),
        (["a.parquet", "--images", "b"], 2, "name either FILE.parquet or --images FOLDER"),
        (["a.txt"], 2, "'a.txt' does not end in .parquet, the only format"),
        (["a.parquet"], 1, "lookbook.sqlite does not exist: set LOOKBOOK_SQLITE_PATH"),
    ],
)
def test_an_error_is_reported(tmp_path: Path, arguments: list[str], code: int, complaint: str) -> None:
    ended = lookbook("export", *arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert complaint in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None).close()
    ended = lookbook("export", tmp_path / "missing/a.parquet", **environment(tmp_path))
    complaint = f"lookbook: cannot write {tmp_path}/missing/a.parquet: No such file or directory\n"
    assert (ended.returncode, ended.stderr) == (1, complaint)


def test_without_pyarrow_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None).close()
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError('no pyarrow', name='pyarrow')")
    ended = lookbook("export", tmp_path / "a.parquet", PYTHONPATH=f"{tmp_path}:{SOURCES}", **environment(tmp_path))
    assert ended.returncode == 1
    assert (
        f'this command needs pyarrow: in a checkout of Lookbook, run {sys.executable} -m pip install ".[parquet]"'
        in ended.stderr
    )


def test_judged_images_are_written_by_label(empty: Store, tmp_path: Path) -> None:
    labels = ["T-shirt/top", "Hat", None, "Hat", "Hat"]
    images = [
        Input("pixels", BAG.read_bytes()),
        Input("original", b"\xff\xd8\xff"),
        None,
        None,
        Input("tensor", b"\x93NUMPY"),
    ]
    predictions = [made_at(START + timedelta(seconds=second)) for second in range(len(labels) + 1)]
    for prediction, image in zip(predictions, [*images, images[0]], strict=True):
        empty.put(Entry(prediction, input=image))
    for prediction, label in zip(predictions, labels, strict=False):
        judge(empty, prediction, label)
    assert write_images(tmp_path, empty.scan(), empty) == Counts(written=2, unclear=1, without_image=2)
    first, second = predictions[:2]
    with (tmp_path / "index.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert sorted(found, key=lambda row: row["label"]) == [
        {"path": f"Hat/{second.id}.jpg", "label": "Hat", "sender_id": str(second.id)},
        {"path": f"T-shirt%2Ftop/{first.id}.png", "label": "T-shirt/top", "sender_id": str(first.id)},
    ]
    assert (tmp_path / f"T-shirt%2Ftop/{first.id}.png").read_bytes() == BAG.read_bytes()


@pytest.fixture
def judged(empty: Store, tmp_path: Path) -> Path:
    """A folder of two judged images."""
    predictions = [made_at(START + timedelta(seconds=second)) for second in range(2)]
    for prediction, label in zip(predictions, ("T-shirt/top", "Coat"), strict=True):
        empty.put(Entry(prediction, input=Input("pixels", BAG.read_bytes())))
        judge(empty, prediction, label)
    (tmp_path / "judged").mkdir()
    write_images(tmp_path / "judged", empty.scan(), empty)
    return tmp_path / "judged"


def test_judged_images_can_be_trained_on(judged: Path) -> None:
    photos = read_photos(judged)
    assert sorted(photo.labels for photo in photos) == [("Coat",), ("T-shirt/top",)]
    assert all(photo.path.read_bytes() == BAG.read_bytes() for photo in photos)
    paths = [str(photo.path) for photo in photos]
    assert sorted(true_labels(judged, paths, LABELS).values()) == [LABELS.index("T-shirt/top"), LABELS.index("Coat")]


KERAS = """
import sys, keras
found = keras.utils.image_dataset_from_directory(sys.argv[1], verbose=False)
print(found.class_names, sum(len(labels) for _, labels in found))
"""


def test_keras_reads_judged_images(judged: Path) -> None:
    python = ROOT / ".venv-training/bin/python"
    if not python.exists():
        lacking("no Keras: make .venv-training/training", "TRAINING")
    ended = subprocess.run([python, "-c", KERAS, judged], capture_output=True, text=True, timeout=120)
    assert ended.stdout == "['Coat', 'T-shirt%2Ftop'] 2\n", ended.stderr


def test_any_label_is_a_folder_of_its_own() -> None:
    labels = ["..", ".", "a/b", "a%2Fb", "a\\b", "a:b", "Ankle boot", "Été", "../x", "a\0b"]
    names = [folder_name(label) for label in labels]
    assert len(set(names)) == len(names)
    assert names[6] == "Ankle boot"
    assert all("/" not in name and "\0" not in name and name.strip(".") for name in names)


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path / "store.sqlite"), lambda _: None).close()
    ended = lookbook("export", "--images", tmp_path, **environment(tmp_path))
    assert (ended.returncode, ended.stderr) == (
        1,
        f"lookbook: {tmp_path} is not empty: name a new folder, so that no older image stays in it\n",
    )


def test_an_empty_store_makes_an_empty_file(empty: Store, tmp_path: Path) -> None:
    assert write_parquet(tmp_path / "a.parquet", empty.scan()) == 0
    assert parquet.read_schema(tmp_path / "a.parquet").equals(SCHEMA)
    assert list(read_parquet(tmp_path / "a.parquet")) == []
