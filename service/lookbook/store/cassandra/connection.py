"""A Cassandra session that reconnects by itself."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ResponseFuture, Session
from cassandra.query import BatchStatement, BatchType, PreparedStatement, Statement

from lookbook.errors import StoreUnavailable
from lookbook.store import Status
from lookbook.store.cassandra.call import Call
from lookbook.store.cassandra.cluster import CONDITIONAL, DRIVER_ERRORS, PATIENT_SECONDS

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS = 1.0
# Between probes of a store that does not respond, and until it counts as unavailable and a new session is opened. Busy
# nodes pause for a second or two, and every request may wait for them.
_RETRY_SECONDS = 0.25
_SILENT_SECONDS = 3.0
_NOT_CONNECTED = "not connected yet"
_TABLE = re.compile(r"(?:FROM|INTO|UPDATE) (\w+)\.(\w+)")
_INCOMPLETE = (
    "tables are missing in the store; nothing is sampled, and judgments are refused, until `lookbook schema` has run"
)


class Connection:
    """Runs prepared statements; replaces the session when no host has responded for some seconds."""

    def __init__(
        self,
        open: Callable[[], Cluster],
        statements: Mapping[str, str],
        later: Mapping[str, str],
        report: Callable[[float], None],
    ) -> None:
        """`statements` and `later` are CQL by name; the tables of `later` may be missing until the schema job has run.

        `report` gets 1 when the store becomes available and 0 when it is lost.
        """
        self._open = open
        self._cql = {**statements, **later}
        self._later = frozenset(later)
        self._incomplete = False  # tables are missing, and that is logged
        self._report = report
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._last_success = float("-inf")
        self._failure: str | None = _NOT_CONNECTED
        report(0)
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._connector: threading.Thread | None = None
        self._keeper = threading.Thread(target=self._keep_connected, name="store-keeper", daemon=True)
        self._keeper.start()
        # With Cassandra available, a new worker refuses no request. Without it, the worker still starts soon.
        self._tried.wait(_PROBE_SECONDS)

    def start(self, name: str, values: Sequence[Any]) -> Call:
        """Send the named statement; finish() waits for its rows. Raises StoreUnavailable."""
        return Call(lambda timeout: self._send(name, lambda prepared: prepared.bind(values), timeout))

    def start_rows(self, name: str, rows: Sequence[Sequence[Any]]) -> Call:
        """Send the named statement once for all rows, which belong to one partition: to Cassandra, a single write."""

        def bind(prepared: PreparedStatement) -> BatchStatement:
            batch = BatchStatement(BatchType.UNLOGGED)
            batch.add_all([prepared] * len(rows), rows)
            batch.is_idempotent = True
            return batch

        return Call(lambda timeout: self._send(name, bind, timeout))

    def finish(self, call: Call) -> list[tuple[Any, ...]]:
        """The rows of a started statement. Raises StoreUnavailable."""
        try:
            rows = call.rows()
        except DRIVER_ERRORS as error:
            raise self._failed(error) from error
        self._succeeded()
        return rows

    def execute_all(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement; all are sent before the first is waited for. Raises StoreUnavailable."""
        started = [self.start(name, values) for name, values in statements]
        return [self.finish(call) for call in started]

    def complete(self) -> bool:
        """Whether no table is missing."""
        return len(self._prepared) == len(self._cql)

    def execute(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of the named statement. Raises StoreUnavailable."""
        return self.finish(self.start(name, values))

    def status(self) -> Status:
        """Reached once every statement is prepared; unavailable after three seconds without a successful call."""
        failure = self._failure
        silent = self._silence() > _SILENT_SECONDS
        return Status(self._session is not None, available=not (failure and silent), failure=failure)

    def close(self) -> None:
        self._stop.set()
        self._keeper.join()
        if self._connector:
            self._connector.join()
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

    def _silence(self) -> float:
        """Seconds since the last success."""
        return time.monotonic() - self._last_success

    def _keep_connected(self) -> None:
        while not self._stop.is_set():
            if self._session is None:
                self._connect()
                self._tried.set()
            elif self._silence() >= _PROBE_SECONDS and not self._probe() and self._silence() >= _SILENT_SECONDS:
                self._reconnect()
            if self._session and not self.complete():
                self._complete(self._session)
            self._stop.wait(_RETRY_SECONDS if self._session and self._failure else _PROBE_SECONDS)

    def _prepare_later(self, session: Session) -> dict[str, PreparedStatement]:
        """Empty while tables are missing. Raises DRIVER_ERRORS."""
        missing = ", ".join(sorted(self._missing(session)))
        if missing:
            if not self._incomplete:
                _LOG.warning(_INCOMPLETE, extra={"reason": f"missing: {missing}"})
            self._incomplete = True
            return {}
        prepared = {name: self._prepare(session, name) for name in self._later}
        if self._incomplete:
            _LOG.warning("all tables exist now")
        self._incomplete = False
        return prepared

    def _prepare(self, session: Session, name: str) -> PreparedStatement:
        statement = session.prepare(self._cql[name])
        statement.is_idempotent = True
        return statement

    def _missing(self, session: Session) -> set[str]:
        """The tables that do not exist. Otherwise, the driver would log an error for each statement that needs one."""
        tables = {_TABLE.findall(self._cql[name])[0] for name in self._later}
        for keyspace in {keyspace for keyspace, _ in tables}:
            rows = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,))
            tables -= {(keyspace, table) for (table,) in rows}
        return {table for _, table in tables}

    def _complete(self, session: Session) -> None:
        """Prepare the other statements if the schema job has run. After a failure, the loop tries again."""
        with suppress(*DRIVER_ERRORS):
            self._prepared = self._prepared | self._prepare_later(session)

    def _probe(self) -> bool:
        try:
            self.execute("probe", ())
        except StoreUnavailable:
            return False
        return True

    def _reconnect(self) -> None:
        """Open another session in a thread, because the current one may work again before that succeeds or fails."""
        if not (self._connector and self._connector.is_alive()):
            self._connector = threading.Thread(target=self._connect, name="store-connector", daemon=True)
            self._connector.start()

    def _send(self, name: str, bind: Callable[[PreparedStatement], Statement], timeout: float) -> ResponseFuture:
        session = self._session
        if session is None:
            raise StoreUnavailable(f"the store is unavailable: {self._failure}")
        if name not in self._prepared:
            raise StoreUnavailable(_INCOMPLETE)
        profile = CONDITIONAL if " IF " in self._cql[name] else EXEC_PROFILE_DEFAULT
        return session.execute_async(bind(self._prepared[name]), timeout=timeout, execution_profile=profile)

    def _connect(self) -> None:
        """Resolve the contact points again, open a new session, and close the old one."""
        cluster = None
        try:
            cluster = self._open()
            session = cluster.connect()
            session.default_fetch_size = None
            prepared = {name: self._prepare(session, name) for name in self._cql if name not in self._later}
            prepared |= self._prepare_later(session)
        except DRIVER_ERRORS as error:
            self._failed(error)
            if cluster:
                cluster.shutdown()
            return
        if self._session and self._failure is None:
            cluster.shutdown()  # the current session works again
            return
        # From here on, connections are opened in the background, and busy nodes need time for that.
        cluster.connect_timeout = PATIENT_SECONDS
        old, self._cluster = self._cluster, cluster
        self._prepared, self._session = prepared, session
        self._succeeded()
        if old:
            old.shutdown()
