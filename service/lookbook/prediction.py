"""A prediction, and its id, which contains the time, the bucket, and the shard."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any
from uuid import UUID

BUCKET_SECONDS = 600
FIRST_YEAR = 2020  # no id is older
JOB_CLOCK = 0x3F  # the high bits of the clock sequence in the ids of a batch job, and in no others

_GREGORIAN = 0x01B21DD213814000  # 100 ns steps from 1582-10-15 to 1970-01-01, RFC 9562
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_TICK = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 10_000_000
_SIGN_BITS = 0x8080808080808080


@dataclass(frozen=True, slots=True)
class Prediction:
    """`top` holds the best three as (label, score), best first; scores are from 0 to 1."""

    id: UUID
    file_name: str
    top: tuple[tuple[str, float], ...]
    model_name: str
    model_version: str

    @property
    def label(self) -> str:
        return self.top[0][0]

    @property
    def score(self) -> float:
        return self.top[0][1]

    @property
    def created_at(self) -> datetime:
        return created_at(self.id)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "created_at": self.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "file_name": self.file_name,
            "label": self.label,
            "score": self.score,
            "top": [{"label": label, "score": score} for label, score in self.top],
            "model": {"name": self.model_name, "version": self.model_version},
        }


def created_at(id: UUID) -> datetime:
    """The id's time, in UTC."""
    return _EPOCH + timedelta(microseconds=_ticks(id) // 10)


def bucket(id: UUID) -> int:
    """The number of the ten minutes in which the id was made, counted from 1970."""
    return _ticks(id) // (BUCKET_SECONDS * 10_000_000)


def day(id: UUID) -> int:
    """The number of the UTC day on which the id was made, counted from 1970."""
    return bucket(id) // (24 * 60 * 60 // BUCKET_SECONDS)


def permanent_random(id: UUID) -> float:
    """A number in [0, 1) that is always the same for an id and, over many ids, uniformly distributed."""
    return (int.from_bytes(hashlib.blake2b(id.bytes, digest_size=8).digest()) >> 11) / (1 << 53)


def shard(id: UUID) -> int:
    """The id's shard, 0 to 255, chosen when the id was made."""
    return id.clock_seq_low


def sort_key(id: UUID) -> bytes:
    """Sixteen bytes that sort as Cassandra sorts a timeuuid."""
    return id.time.to_bytes(8) + ((id.int & 0xFFFFFFFFFFFFFFFF) ^ _SIGN_BITS).to_bytes(8)


def from_sort_key(key: bytes) -> UUID:
    """The id with this sort_key()."""
    return make_uuid(int.from_bytes(key[:8]), int.from_bytes(key[8:]) ^ _SIGN_BITS)


def first_id(moment: datetime) -> UUID:
    """An id that sorts before every id made at or after `moment`."""
    ticks = (moment - _EPOCH) // timedelta(microseconds=1) * 10
    return make_uuid(min(max(ticks + _GREGORIAN, 0), (1 << 60) - 1), _SIGN_BITS)


def id_maker(shards: int = 1, clock: Callable[[], int] = time.time_ns) -> Callable[[], UUID]:
    """A function that makes time-based ids in ascending order within a process.

    Unlike uuid.uuid1(), it keeps the order when the clock is set back and reveals nothing about the machine. The low
    byte of the clock sequence is the shard.
    """
    random = SystemRandom()
    node = random.getrandbits(48) | 1 << 40  # with the multicast bit, which no network card's address has
    high = 0x80 | random.randrange(JOB_CLOCK)
    lock = threading.Lock()
    last = _FIRST_TICK

    def make() -> UUID:
        nonlocal last
        with lock:
            last = max(clock() // 100, last + 1)
            ticks = last
        return make_uuid(ticks + _GREGORIAN, high << 56 | ticks % shards << 48 | node)

    return make


def _ticks(id: UUID) -> int:
    """100 ns steps since 1970."""
    return id.time - _GREGORIAN


def make_uuid(timestamp: int, low: int) -> UUID:
    """A version 1 UUID of a 60-bit timestamp and the lower 64 bits."""
    high = (timestamp & 0xFFFFFFFF) << 32 | (timestamp >> 32 & 0xFFFF) << 16 | 0x1000 | timestamp >> 48
    return UUID(int=high << 64 | low)
