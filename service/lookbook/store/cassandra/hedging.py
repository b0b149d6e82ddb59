"""Requests that go to another node, too, when the first is slow. Tests: tests/unit/test_hedging.py."""

import threading

from cassandra.policies import SpeculativeExecutionPlan, SpeculativeExecutionPolicy

_MOST = 2  # further nodes for one request
_BURST = 20.0
_PER_REQUEST = 0.4


class Hedging(SpeculativeExecutionPolicy):  # type: ignore[misc]
    """Asks the next node after `seconds`, and another one after as long, while the budget allows it.

    One slow node of three takes a third of a hedge per request. When all nodes are slow, hedges would triple their
    load, so each request adds only 0.4 of a hedge to the budget. The driver has no policy with a budget.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._budget = _BURST

    def new_plan(self, _keyspace: object, _statement: object) -> "_Plan":
        with self._lock:
            self._budget = min(self._budget + _PER_REQUEST, _BURST)
        return _Plan(self)

    def available(self) -> bool:
        return self._budget >= 1

    def spend(self) -> None:
        with self._lock:
            self._budget -= 1


class _Plan(SpeculativeExecutionPlan):  # type: ignore[misc]
    """The hedges of one request. The driver asks when it has sent the request, and again after each hedge."""

    def __init__(self, policy: Hedging) -> None:
        self._policy = policy
        self._sent = -1

    def next_execution(self, _host: object) -> float:
        """Seconds until the next hedge, or -1 for none."""
        self._sent += 1
        if self._sent:
            self._policy.spend()
        return self._policy.seconds if self._sent < _MOST and self._policy.available() else -1
