"""Sampled predictions and judgments for tests of the store."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from lookbook.judgment import Judgment
from lookbook.prediction import Prediction, day, id_maker, permanent_random
from lookbook.store import Entry, Input, SampledDay, Store

from tests.support.predictions import made_at

_make_id: Callable[[], UUID] = id_maker()


def sampled(moment: datetime, count: int, shards: int = 1, rate: float = 0.5) -> list[Entry]:
    """Entries with an input, about a millisecond apart, in turn in each shard; they are sampled; smallest `u` first."""
    times = itertools.count(int(moment.timestamp()) * 10**9, 1_000_100)
    make = id_maker(shards, clock=times.__next__)
    predictions = [replace(made_at(moment), id=make()) for _ in range(count)]
    entries = [Entry(item, b"thumbnail", rate, Input("pixels", item.id.bytes)) for item in predictions]
    return sorted(entries, key=lambda entry: permanent_random(entry.prediction.id))


def day_of(prediction: Prediction) -> SampledDay:
    return SampledDay(day(prediction.id), prediction.model_name, prediction.model_version)


def judge(
    store: Store, prediction: Prediction, label: str | None, annotator: str = "ana", withdraws: UUID | None = None
) -> Judgment:
    """Store a judgment that is newer than every other one."""
    judgment = Judgment(_make_id(), prediction.id, annotator, label, withdraws)
    store.judge(prediction, judgment)
    return judgment


def today() -> datetime:
    """Noon of this day, so that all moments near it are on one day."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
