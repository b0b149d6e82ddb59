from lookbook.server.restarts import SOON_SECONDS, Restarts


def test_the_pauses_grow_while_workers_end_at_once() -> None:
    restarts = Restarts()
    assert [restarts.ended(1, 1) for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert not restarts.due()


def test_workers_that_end_together_start_again_together() -> None:
    restarts = Restarts()
    assert [restarts.ended(1, 3) for _ in range(7)] == [0, 0, 0, 1, 1, 1, 2]


def test_a_worker_that_has_lived_ends_the_pauses() -> None:
    restarts = Restarts()
    assert [restarts.ended(seconds, 1) for seconds in (1, 1, SOON_SECONDS, 1, 1)] == [0, 1, 0, 0, 1]
    restarts.ended(SOON_SECONDS, 1)
    assert restarts.due()
