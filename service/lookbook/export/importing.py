"""Puts the predictions in a file into a store. Tests: tests/unit/test_export.py."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

from lookbook.errors import LookbookError
from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, sort_key
from lookbook.store import Entry, Store
from lookbook.store.patience import patiently
from lookbook.store.rows import Rows, scan_patiently

_ENTRIES = 200  # written together
_PATIENCE_SECONDS = 30.0  # for a store that is unavailable

Judged = tuple[Prediction, tuple[Judgment, ...]]


def check(store: Store, batches: Iterable[Rows]) -> None:
    """Raises LookbookError unless the store is empty or has only what the batches have, newest first."""
    stored = _judged(scan_patiently(store.scan))
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
        entries = [Entry(prediction) for prediction, _ in group]
        patiently(partial(store.put_all, entries), _PATIENCE_SECONDS)
        for prediction, judgments in group:
            known = store.judgments(prediction.id) if judgments else ()
            for judgment in reversed(judgments):
                if judgment not in known:
                    patiently(partial(store.judge, prediction, judgment), _PATIENCE_SECONDS)
        count += len(group)
    return count


def _judged(batches: Iterable[Rows]) -> Iterator[Judged]:
    for rows in batches:
        judgments = rows.judgments_by_id()
        for prediction in rows.predictions():
            yield prediction, judgments.get(prediction.id, ())
