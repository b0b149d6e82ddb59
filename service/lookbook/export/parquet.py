"""The predictions of a store as a Parquet file. Tests: tests/unit/test_export.py."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from lookbook.errors import LookbookError
from lookbook.judgment import Judgment, settle
from lookbook.store.rows import Rows, times

_TOP = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64())]))
_JUDGMENTS = pa.list_(
    pa.struct(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("annotator", pa.string(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("withdraws", pa.string()),
        ]
    )
)
SCHEMA = pa.schema(
    [
        pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("top", _TOP, nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        # None without a ground truth, and where it is unclear.
        pa.field("ground_truth", pa.string()),
        pa.field("judgments", _JUDGMENTS, nullable=False),
    ],
    metadata={"lookbook": "1"},
)
# Few different values.
_DICTIONARIES = ["label", "top.list.element.label", "model_name", "model_version", "ground_truth"]
_GROUP_ROWS, _READ_ROWS = 50_000, 20_000

_HEX = np.frombuffer(bytes(range(256)).hex().encode(), np.uint8).reshape(256, 2)
_DASHES = (8, 13, 18, 23)
_DIGITS = [place for place in range(36) if place not in _DASHES]


def write_parquet(path: Path, batches: Iterable[Rows]) -> int:
    """Replace the file once everything is written; returns the number of rows. Raises OSError."""
    count = 0
    with (
        _replaced(path) as temporary,
        parquet.ParquetWriter(temporary, SCHEMA, compression="zstd", use_dictionary=_DICTIONARIES) as writer,
    ):
        for table in _groups(map(to_table, batches)):
            writer.write_table(table)
            count += len(table)
    return count


def read_parquet(path: Path) -> Iterator[Rows]:
    """The predictions of a file that write_parquet() has written. Raises LookbookError if a value is not plausible."""
    try:
        with parquet.ParquetFile(path) as file:
            if not file.schema_arrow.equals(SCHEMA, check_metadata=False):
                raise LookbookError(f"{path}: its columns are not those that `lookbook export` writes")
            for batch in file.iter_batches(_READ_ROWS):
                yield _checked(path, pa.table(batch))
    except (OSError, pa.ArrowException) as error:
        raise LookbookError(f"{path}: cannot read it as Parquet: {error}") from error


def _checked(path: Path, table: pa.Table) -> Rows:
    """The rows of a table; what follows from other columns, such as the label, must agree with them."""
    try:
        rows = _rows(table)
        agrees = [to_table(rows).column(name).equals(table.column(name)) for name in SCHEMA.names]
    except (ValueError, IndexError, KeyError, pa.ArrowException) as error:
        raise LookbookError(f"{path}: {error}") from error
    if not all(agrees):
        name = SCHEMA.names[agrees.index(False)]
        raise LookbookError(
            f"{path}: the column {name} does not agree with the others: import a file as it was exported"
        )
    return rows


def _rows(table: pa.Table) -> Rows:
    columns = {name: table.column(name).to_pylist() for name in ("id", "top", "judgments")}
    ids = [_id(text) for text in columns["id"]]
    tops = [[(entry["label"], entry["score"]) for entry in top] for top in columns["top"]]
    for id, top in zip(ids, tops, strict=True):
        if not top or not all(label and 0 <= score <= 1 for label, score in top):
            raise ValueError(f"prediction {id} needs labels with scores from 0 to 1")
    names = (table.column(name).to_pylist() for name in ("file_name", "model_name", "model_version"))
    file_names, model_names, model_versions = names
    return Rows(
        b"".join(id.bytes for id in ids),
        file_names,
        [[label for label, _ in top] for top in tops],
        [[score for _, score in top] for top in tops],
        model_names,
        model_versions,
        [
            Judgment(_id(one["id"]), id, one["annotator"], one["label"], one["withdraws"] and _id(one["withdraws"]))
            for id, judgments in zip(ids, columns["judgments"], strict=True)
            for one in judgments
        ],
    )


def _id(text: str) -> UUID:
    """Raises ValueError unless the text is that of an id with a time."""
    id = UUID(text)
    if id.version != 1 or str(id) != text:
        raise ValueError(f"{text} is not an ID that Lookbook makes")
    return id


@contextmanager
def _replaced(path: Path) -> Iterator[str]:
    """A temporary file beside `path`, which takes its place if the block ends without an error."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        yield temporary
        os.fsync(handle)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(handle)


def _umask() -> int:
    """The umask of this process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Fewer, larger tables: each becomes a row group."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def to_table(rows: Rows, names: Sequence[str] = tuple(SCHEMA.names)) -> pa.Table:
    """The named columns of SCHEMA; each takes its time, so ask for no more than you need."""
    made: dict[str, pa.Array] = {}
    if "created_at" in names:
        made["created_at"] = pa.array(times(rows.ids).astype("datetime64[us]")).cast(SCHEMA.field("created_at").type)
    if "id" in names:
        made["id"] = _texts(rows.ids)
    if {"label", "score", "top"} & set(names):
        made |= _top(rows)
    for name, texts in {
        "file_name": rows.file_names,
        "model_name": rows.model_names,
        "model_version": rows.model_versions,
    }.items():
        if name in names:
            made[name] = pa.array(texts, pa.string())
    if {"ground_truth", "judgments"} & set(names):
        made["ground_truth"], made["judgments"] = _judgments(rows)
    return pa.table([made[name] for name in names], pa.schema([SCHEMA.field(name) for name in names], SCHEMA.metadata))


def _top(rows: Rows) -> dict[str, pa.Array]:
    labels = pa.array(chain.from_iterable(rows.labels), pa.string(), size=sum(map(len, rows.labels)))
    scores = pa.array(np.fromiter(chain.from_iterable(rows.scores), float, len(labels)))
    ends = np.cumsum([0, *map(len, rows.labels)], dtype=np.int32)
    entries = pa.StructArray.from_arrays([labels, scores], fields=list(_TOP.value_type))
    best = pa.array(ends[:-1])
    return {
        "label": labels.take(best),
        "score": scores.take(best),
        "top": pa.ListArray.from_arrays(pa.array(ends), entries),
    }


def _judgments(rows: Rows) -> tuple[pa.Array, pa.Array]:
    """The columns ground_truth and judgments. Most predictions have none, so only those that do are looked at."""
    if not rows.judgments:
        return pa.nulls(len(rows), pa.string()), pa.array([[]], _JUDGMENTS).take(pa.array(np.zeros(len(rows), int)))
    truths: list[str | None] = [None] * len(rows)
    found: list[list[dict[str, str | None]]] = [[]] * len(rows)
    places = {rows.ids[16 * place : 16 * place + 16]: place for place in range(len(rows))}
    for id, judgments in rows.judgments_by_id().items():
        place = places[id.bytes]
        truth = settle(judgments)
        truths[place] = truth.label if truth else None
        found[place] = [_judgment(judgment) for judgment in judgments]
    return pa.array(truths, pa.string()), pa.array(found, _JUDGMENTS)


def _judgment(judgment: Judgment) -> dict[str, str | None]:
    return {
        "id": str(judgment.id),
        "annotator": judgment.annotator,
        "label": judgment.label,
        "withdraws": str(judgment.withdraws) if judgment.withdraws else None,
    }


def _texts(ids: bytes) -> pa.StringArray:
    """The ids as str(UUID) writes them."""
    digits = _HEX[np.frombuffer(ids, np.uint8)].reshape(-1, 32)
    texts: NDArray[np.uint8] = np.full((len(digits), 36), ord("-"), np.uint8)
    texts[:, _DIGITS] = digits
    ends = np.arange(0, 36 * len(texts) + 1, 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends.tobytes()), pa.py_buffer(texts.tobytes()))
