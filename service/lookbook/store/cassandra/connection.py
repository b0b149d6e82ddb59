"""A Cassandra session that reconnects by itself."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cassandra.cluster import Cluster, ResponseFuture, Session
from cassandra.query import PreparedStatement

from lookbook.errors import StoreUnavailable
from lookbook.store import TIMEOUT_SECONDS, Status
from lookbook.store.cassandra.cluster import DRIVER_ERRORS

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS = 1.0
_RECONNECT_SECONDS = 3.0
_NOT_CONNECTED = "not connected yet"


class Connection:
    """Runs prepared statements; replaces the session when no host has responded for some seconds."""

    def __init__(
        self, open: Callable[[], Cluster], statements: Mapping[str, str], report: Callable[[float], None]
    ) -> None:
        """`statements` is CQL by name; `report` gets 1 when the store becomes available and 0 when it is lost."""
        self._open = open
        self._cql = statements
        self._report = report
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._last_success = float("-inf")
        self._failure: str | None = _NOT_CONNECTED
        report(0)
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._keeper = threading.Thread(target=self._keep_connected, name="store-keeper", daemon=True)
        self._keeper.start()
        # With Cassandra available, a new worker refuses no request. Without it, the worker still starts soon.
        self._tried.wait(_PROBE_SECONDS)

    def start(self, name: str, values: Sequence[Any]) -> ResponseFuture:
        """Send the named statement; finish() waits for its rows. Raises StoreUnavailable."""
        if self._session is None:
            raise StoreUnavailable(f"the store is unavailable: {self._failure}")
        try:
            return self._session.execute_async(self._prepared[name].bind(values), timeout=TIMEOUT_SECONDS)
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error

    def finish(self, future: ResponseFuture) -> list[tuple[Any, ...]]:
        """The rows of a started statement. Raises StoreUnavailable."""
        try:
            rows = future.result().current_rows
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error
        self._succeeded()
        return rows  # type: ignore[no-any-return]

    def execute(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of the named statement. Raises StoreUnavailable."""
        return self.finish(self.start(name, values))

    def status(self) -> Status:
        """Reached once every statement is prepared; unavailable after a second without a successful call."""
        failure = self._failure
        silent = time.monotonic() - self._last_success > _PROBE_SECONDS
        return Status(self._session is not None, available=not (failure and silent), failure=failure)

    def close(self) -> None:
        self._stop.set()
        self._keeper.join()
        if self._cluster:
            self._cluster.shutdown()

    def _succeeded(self) -> None:
        self._last_success = time.monotonic()
        if self._failure is not None:
            self._failure = None
            self._report(1)
            _LOG.warning("store available")

    def _failed(self, error: BaseException) -> StoreUnavailable:
        reason = " ".join(str(error).split())
        if self._failure in (None, _NOT_CONNECTED):
            self._report(0)
            _LOG.error("store unavailable", extra={"reason": reason})
        self._failure = reason
        return StoreUnavailable(f"the store is unavailable: {reason}")

    def _keep_connected(self) -> None:
        last_attempt = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            silence = now - self._last_success
            if self._session is None:
                self._connect()
                self._tried.set()
            elif (
                silence >= _PROBE_SECONDS
                and not self._probe()
                and min(silence, now - last_attempt) >= _RECONNECT_SECONDS
            ):
                self._connect()
                last_attempt = time.monotonic()
            self._stop.wait(_PROBE_SECONDS)

    def _probe(self) -> bool:
        try:
            self.execute("probe", ())
        except StoreUnavailable:
            return False
        return True

    def _connect(self) -> None:
        """Resolve the contact points again, open a new session, and close the old one."""
        cluster = None
        try:
            cluster = self._open()
            session = cluster.connect()
            session.default_fetch_size = None
            prepared = {name: session.prepare(cql) for name, cql in self._cql.items()}
            for name, statement in prepared.items():
                statement.is_idempotent = " IF " not in self._cql[name]
        except DRIVER_ERRORS as error:
            self._failed(error)
            if cluster:
                cluster.shutdown()
            return
        old, self._cluster = self._cluster, cluster
        self._prepared, self._session = prepared, session
        self._succeeded()
        if old:
            old.shutdown()
