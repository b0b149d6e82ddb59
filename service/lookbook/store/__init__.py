"""The store's contract: what is kept and how it is listed. Tests: tests/unit/test_store.py."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from lookbook.prediction import Prediction, sort_key
from lookbook.store.rows import Rows

MAX_ROWS = 2_000  # read at most for one filtered page
KEY_SECONDS = 24 * 60 * 60  # how long an idempotency key is kept
TIMEOUT_SECONDS = 1.5  # of one call


@dataclass(frozen=True, slots=True)
class Query:
    """Newest first, older than `after`; ids from `since`, inclusive, to `until`, exclusive."""

    limit: int
    after: UUID | None = None
    label: str | None = None
    since: UUID | None = None
    until: UUID | None = None

    @property
    def below(self) -> UUID | None:
        """The id that every id of the page sorts before."""
        bounds = [bound for bound in (self.after, self.until) if bound]
        return min(bounds, key=sort_key, default=None)

    @property
    def max_rows(self) -> int:
        """How many rows to read at most. One more than the limit tells whether there is another page."""
        return self.limit + 1 if self.label is None else MAX_ROWS


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the next page, None on the last page."""

    items: tuple[Prediction, ...]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class Status:
    """Whether the store can be used."""

    reached: bool  # it has been available at least once
    available: bool  # a call may succeed now
    failure: str | None  # why the last call failed, in one line; None if it succeeded


def build_page(rows: Sequence[Prediction], query: Query, stopped_at: UUID | None) -> Page:
    """The page for rows that were read newest first; `stopped_at` is None if there are no more rows."""
    items: list[Prediction] = []
    for row in rows:
        if len(items) == query.limit:
            return Page(tuple(items), items[-1].id)
        if query.label in (None, row.label):
            items.append(row)
    return Page(tuple(items), stopped_at)


def deletion_key(id: UUID) -> str:
    """The idempotency key that records a deletion. No client can send it: it contains a newline."""
    return f"deleted\n{id}"


class Store(Protocol):
    """Keeps predictions. Every method but status() and close() raises StoreUnavailable if the store is unavailable."""

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        """Store; once this returns, a crash does not lose it."""

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        """Store predictions with their thumbnails; if this raises, some may be stored."""

    def put_if_absent(self, prediction: Prediction, thumbnail: bytes | None) -> Prediction:
        """Store unless a prediction with this id exists; return the stored one."""

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        """Bind an idempotency key to id and digest for 24 hours unless it is bound; return what it is bound to."""

    def get(self, id: UUID) -> Prediction | None: ...

    def thumbnail(self, id: UUID) -> bytes | None: ...

    def delete(self, id: UUID) -> bool:
        """Delete the prediction and its thumbnail; return whether it existed."""

    def deleted(self, id: UUID) -> bool:
        """Whether the prediction was deleted; known for as long as an idempotency key is kept."""

    def page(self, query: Query) -> Page: ...

    def scan(self, since: UUID | None = None, until: UUID | None = None) -> Iterator[Rows]:
        """Everything from `since`, inclusive, to `until`, exclusive, newest first, in batches of at most BATCH_ROWS.

        Each batch is a read of its own. After an error, go on with the last id as `until`.
        """

    def status(self) -> Status:
        """What is known without a call to the store."""

    def close(self) -> None: ...
