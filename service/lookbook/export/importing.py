"""Puts the predictions in a file into a store. Tests: tests/unit/test_export.py."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from lookbook.errors import LookbookError, StoreUnavailable
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, sort_key
from lookbook.store import Entry, Store
from lookbook.store.rows import Rows, patiently

_ENTRIES = 200  # written together
_ATTEMPTS, _PAUSE_SECONDS = 15, 2.0

Judged = tuple[Prediction, tuple[Judgment, ...]]


def check(store: Store, batches: Iterable[Rows]) -> None:
    """Raises LookbookError unless the store is empty or has only what the batches have, newest first."""
    stored = _judged(patiently(store.scan))
    other = next(stored, None)
    last: Prediction | None = None
    for prediction, judgments in _judged(batches):
        if last and sort_key(prediction.id) >= sort_key(last.id):
            raise LookbookError(f"the file is not sorted: {prediction.id} must come before {last.id}, newest first")
        last = prediction
        if other and other[0] == prediction and set(other[1]) <= set(judgments):
            other = next(stored, None)
        elif other and sort_key(other[0].id) >= sort_key(prediction.id):
            break
    if other:
        raise LookbookError(
            f"the store is not empty: its prediction {other[0].id} is not in the file, or differs; "
            "import into an empty store"
        )


def load(store: Store, batches: Iterable[Rows]) -> int:
    """Store everything; returns how many predictions. Repeating it changes nothing."""
    count, judged = 0, _judged(batches)
    while group := list(islice(judged, _ENTRIES)):
        _patiently(store.put_all, [Entry(prediction) for prediction, _ in group])
        for prediction, judgments in group:
            known = store.judgments(prediction.id) if judgments else ()
            for judgment in reversed(judgments):
                if judgment not in known:
                    _patiently(store.judge, prediction, judgment)
        count += len(group)
    return count


def _judged(batches: Iterable[Rows]) -> Iterator[Judged]:
    for rows in batches:
        judgments = rows.judgments_by_id()
        for prediction in rows.predictions():
            yield prediction, judgments.get(prediction.id, ())


def _patiently(write: Callable[..., None], *values: Any) -> None:
    """Repeat a write while the store is unavailable for a moment."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return write(*values)
        except StoreUnavailable:
            time.sleep(_PAUSE_SECONDS)
    return write(*values)
