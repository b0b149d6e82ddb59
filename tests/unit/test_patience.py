from collections.abc import Callable, Iterator

import pytest
from lookbook.errors import StoreUnavailable
from lookbook.store.patience import patiently


def failing(times: int) -> Callable[[], str]:
    """A call that fails so many times, and then succeeds."""
    outcomes: Iterator[bool] = iter([False] * times + [True])

    def call() -> str:
        if not next(outcomes):
            raise StoreUnavailable("the store is unavailable")
        return "done"

    return call


def test_a_call_is_repeated_until_the_store_is_available() -> None:
    assert patiently(failing(2), 600) == "done"


def test_patience_ends() -> None:
    with pytest.raises(StoreUnavailable):
        patiently(failing(1), 0)
