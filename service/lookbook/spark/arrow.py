"""Rows as Arrow, made without pandas. Tests: tests/spark/test_batch.py."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow.json import ParseOptions, ReadOptions, read_json


def to_batch(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """The rows as a batch; what a row lacks is null."""
    if not rows:
        return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    # pa.array() would import pandas, which takes 50 MB in each worker.
    lines = "\n".join(map(json.dumps, rows)).encode()
    options = ReadOptions(use_threads=False, block_size=len(lines) + 1)
    (batch,) = read_json(io.BytesIO(lines), options, ParseOptions(explicit_schema=schema)).to_batches()
    return batch
