from datetime import UTC, datetime, timedelta
from uuid import UUID

from lookbook.judgment import GroundTruth, Judgment, settle
from lookbook.prediction import id_maker

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PREDICTION = id_maker()()


def moment(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def judgment(minute: int, annotator: str, label: str | None, withdraws: UUID | None = None) -> Judgment:
    nanoseconds = int(moment(minute).timestamp()) * 10**9
    return Judgment(id_maker(clock=lambda: nanoseconds)(), PREDICTION, annotator, label, withdraws)


def test_without_judgments_there_is_no_ground_truth() -> None:
    assert settle([]) is None


def test_the_newest_judgment_of_an_annotator_counts() -> None:
    judgments = [judgment(2, "ana", "Dress"), judgment(1, "ana", "Coat")]
    assert settle(judgments) == settle(judgments[::-1]) == GroundTruth("Dress", 1, moment(2))


def test_the_most_frequent_label_wins() -> None:
    judgments = [judgment(1, "ana", "Dress"), judgment(2, "bob", "Coat"), judgment(3, "cleo", "Dress")]
    assert settle(judgments) == GroundTruth("Dress", 3, moment(3))


def test_a_tie_is_unclear() -> None:
    judgments = [judgment(1, "ana", "Dress"), judgment(2, "bob", "Coat")]
    assert settle(judgments) == GroundTruth(None, 2, moment(2))


def test_unclear_is_a_vote() -> None:
    judgments = [judgment(1, "ana", None), judgment(2, "bob", None), judgment(3, "cleo", "Dress")]
    assert settle(judgments) == GroundTruth(None, 3, moment(3))


def test_after_a_withdrawal_the_judgment_before_counts_again() -> None:
    first, second = judgment(1, "ana", "Coat"), judgment(2, "ana", "Dress")
    withdrawal = judgment(3, "bob", None, second.id)
    assert settle([withdrawal, second, first]) == GroundTruth("Coat", 1, moment(1))
    assert settle([withdrawal, second]) is None


def test_an_earlier_ground_truth_can_be_reproduced() -> None:
    first, second = judgment(1, "ana", "Coat"), judgment(2, "ana", "Dress")
    withdrawal = judgment(3, "ana", None, first.id)
    judgments = [withdrawal, second, first]
    assert settle(judgments, moment(0)) is None
    assert settle(judgments, moment(1)) == GroundTruth("Coat", 1, moment(1))
    assert settle(judgments, moment(3)) == GroundTruth("Dress", 1, moment(2))
