"""The store's contract: what is kept and how it is listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from lookbook.prediction import Prediction, order

MAX_ROWS = 2_000
KEY_SECONDS = 24 * 60 * 60
TIMEOUT = 1.5


@dataclass(frozen=True, slots=True)
class Query:
    """Newest first, older than `after`; `since` is the lowest and `until` the first too high id."""

    limit: int
    after: UUID | None = None
    label: str | None = None
    since: UUID | None = None
    until: UUID | None = None

    @property
    def below(self) -> UUID | None:
        """The id that all ids of the page sort before."""
        bounds = [bound for bound in (self.after, self.until) if bound]
        return min(bounds, key=order, default=None)

    @property
    def rows(self) -> int:
        """How many rows a call reads at most: one more than asked for tells whether there are more."""
        return self.limit + 1 if self.label is None else MAX_ROWS


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the page after this one; None is the end."""

    items: tuple[Prediction, ...]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a store can be used."""

    reached: bool  # its tables have answered at least once
    available: bool  # a call may succeed now
    failure: str | None  # why the last call failed, in one line; None if it succeeded


def cut(rows: Sequence[Prediction], query: Query, reached: UUID | None) -> Page:
    """The page of `rows`, which were read newest first; `reached` is where reading stopped, None at the end."""
    kept: list[Prediction] = []
    for row in rows:
        if len(kept) == query.limit:
            return Page(tuple(kept), kept[-1].id)
        if query.label in (None, row.label):
            kept.append(row)
    return Page(tuple(kept), reached)


def deletion(id: UUID) -> str:
    """What a deletion is kept under, among the idempotency keys: nothing that a client can send."""
    return f"deleted\n{id}"


class Store(Protocol):
    """Keeps predictions. Every call raises StoreUnavailable where it cannot say what is stored."""

    def put(self, prediction: Prediction, thumbnail: bytes | None) -> None:
        """Store; once this returns, a crash does not lose it."""

    def put_all(self, entries: Sequence[tuple[Prediction, bytes | None]]) -> None:
        """Store predictions with their thumbnails: all of them, once this returns; where it raises, maybe some."""

    def put_if_absent(self, prediction: Prediction, thumbnail: bytes | None) -> Prediction:
        """Store unless its id is taken; what stands there then."""

    def claim(self, key: str, digest: bytes, id: UUID) -> tuple[UUID, bytes]:
        """The id and digest that an idempotency key stands for, these if it is new; kept 24 hours."""

    def get(self, id: UUID) -> Prediction | None: ...

    def thumbnail(self, id: UUID) -> bytes | None: ...

    def delete(self, id: UUID) -> bool:
        """Remove the prediction and its thumbnail; whether there was one."""

    def deleted(self, id: UUID) -> bool:
        """Whether the prediction was deleted, as long as an idempotency key may stand for it."""

    def page(self, query: Query) -> Page: ...

    def status(self) -> Status:
        """What is known without asking the store."""

    def close(self) -> None: ...
