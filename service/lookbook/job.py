"""A batch job, and the ids of its predictions, which follow from the job and the image's path."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from lookbook.prediction import BUCKET_SECONDS, JOB_CLOCK, first_id, make_uuid

MAX_SHARDS = 8  # of a bucket, because a page reads every shard of it
ROWS_PER_PARTITION = 400_000  # below Cassandra's 100 MB

# What a run counts besides the labels, none of which contains a line break. REJECTED comes before the reason.
REJECTED, EARLIER = "\nrejected ", "\nearlier"

_TICKS_PER_BUCKET = BUCKET_SECONDS * 10_000_000
_TAG_BITS, _PATH_BITS = 22, 25
_SAMPLES = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MULTICAST = 1 << 40  # no network card's address has it


@dataclass(frozen=True, slots=True)
class Job:
    """One run of `lookbook batch`. `bundle` is its digest; `images` is how many there were when the job started."""

    name: str
    started_at: datetime
    bundle: str
    images: int

    @classmethod
    def of(cls, name: str, started_us: int, bundle: str, images: int) -> "Job":
        """The job as a store keeps it, with its start in microseconds since 1970."""
        return cls(name, _EPOCH + timedelta(microseconds=started_us), bundle, images)

    @property
    def started_us(self) -> int:
        return (self.started_at - _EPOCH) // timedelta(microseconds=1)

    @property
    def tag(self) -> int:
        """A number of 22 bits that is part of each id."""
        text = f"{self.name}\n{self.started_at.isoformat()}"
        return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) >> (32 - _TAG_BITS)

    @property
    def sampling_rate(self) -> float:
        """The probability that a prediction is sampled; about twice as many are as are evaluated per day."""
        return min(1.0, _SAMPLES / self.images)

    def id_of(self, path: str) -> UUID:
        """The id of the prediction for this path.

        The ids spread over so many buckets before the job's start that each partition stays small.
        """
        number = int.from_bytes(blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest())
        number, ticks_before = divmod(number, self._buckets * _TICKS_PER_BUCKET)
        number, shard = divmod(number, self._shards)
        ticks = first_id(self.started_at).time - 1 - ticks_before
        return make_uuid(ticks, (0x80 | JOB_CLOCK) << 56 | shard << 48 | self._node(number % (1 << _PATH_BITS)))

    @property
    def _shards(self) -> int:
        return min(MAX_SHARDS, -(-self.images // ROWS_PER_PARTITION)) or 1

    @property
    def _buckets(self) -> int:
        return -(-self.images // (MAX_SHARDS * ROWS_PER_PARTITION)) or 1

    def _node(self, path_bits: int) -> int:
        """48 bits: seven of the tag, the multicast bit, fifteen of the tag, and those of the path."""
        high, low = divmod(self.tag, 1 << 15)
        return high << 41 | _MULTICAST | low << _PATH_BITS | path_bits


def now() -> datetime:
    """The current time, to the microsecond that Cassandra's write times have."""
    return datetime.now(UTC)


def rejected(counts: Mapping[str, int]) -> Counter[str]:
    """How many images a run has rejected, by the reason."""
    return Counter({name.removeprefix(REJECTED): n for name, n in counts.items() if name.startswith(REJECTED)})


def job_tag(id: UUID) -> int | None:
    """The tag of the job that made the id; None if a request made it."""
    if id.clock_seq_hi_variant & 0x3F != JOB_CLOCK:
        return None
    node = id.node
    return (node >> 41) << 15 | (node >> _PATH_BITS) & 0x7FFF
