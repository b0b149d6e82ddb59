import threading

import pytest
from lookbook.errors import Busy
from lookbook.http.turns import Turns


def test_a_turn_that_lasts_long_is_not_waited_for() -> None:
    turns = Turns(waiting=1, seconds=0.01)
    with turns.take(), pytest.raises(Busy, match="still busy"), turns.take():
        pytest.fail("two turns at once")


def test_a_long_queue_is_refused_at_once() -> None:
    turns = Turns(waiting=0, seconds=60)
    with turns.take(), pytest.raises(Busy, match="other requests wait"), turns.take():
        pytest.fail("two turns at once")


def test_one_turn_after_the_other() -> None:
    turns, taken = Turns(), list[int]()

    def take(number: int) -> None:
        with turns.take():
            taken.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    with turns.take():
        for thread in threads:
            thread.start()
        assert taken == []
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, 1, 2, 3]
