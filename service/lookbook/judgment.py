"""What people say an image shows, and the ground truth that follows from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lookbook.prediction import created_at, sort_key


@dataclass(frozen=True, slots=True)
class Judgment:
    """What one annotator says a prediction's image shows, or the withdrawal of an earlier judgment."""

    id: UUID  # time-based
    prediction: UUID
    annotator: str  # "" if nobody gave a name
    label: str | None  # None: unclear
    withdraws: UUID | None = None  # the judgment to withdraw; `label` is then None and means nothing


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What the annotators together say."""

    label: str | None  # None: unclear, because they say so or because no label has the most votes
    judgments: int  # how many count
    judged_at: datetime  # of the newest of them


def settle(judgments: Iterable[Judgment], as_of: datetime | None = None) -> GroundTruth | None:
    """The ground truth from all judgments of one prediction, or from those made until `as_of`; None if none counts.

    The newest judgment of each annotator that is not withdrawn counts. The most frequent label wins; `unclear` is a
    vote like a label, and a tie is unclear.
    """
    known = [judgment for judgment in judgments if as_of is None or created_at(judgment.id) <= as_of]
    withdrawn = {judgment.withdraws for judgment in known}
    newest: dict[str, Judgment] = {}
    for judgment in sorted(known, key=lambda judgment: sort_key(judgment.id)):
        if judgment.withdraws is None and judgment.id not in withdrawn:
            newest[judgment.annotator] = judgment
    if not newest:
        return None
    (label, votes), *others = Counter(judgment.label for judgment in newest.values()).most_common(2)
    tie = bool(others) and others[0][1] == votes
    judged_at = max(created_at(judgment.id) for judgment in newest.values())
    return GroundTruth(None if tie else label, len(newest), judged_at)
