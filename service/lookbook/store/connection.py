"""A Cassandra session that comes back by itself."""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cassandra import ConsistencyLevel, DriverException, UnresolvableContactPoints
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, ResponseFuture, Session
from cassandra.connection import ConnectionException
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import PreparedStatement, tuple_factory

from lookbook.errors import StoreUnavailable
from lookbook.settings import Settings
from lookbook.store import TIMEOUT, Status

# ErrorMessage: what a server says that the driver has no exception for.
FAILURES = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)

# Seconds where no client waits for an answer.
PATIENT = 10.0

_LOG = logging.getLogger(__name__)
_PROBE_SECONDS = 1.0
_IMPATIENT_SECONDS = 0.4
_REBUILD_SECONDS = 3.0
_NOT_REACHED = "not reached yet"


def open_cluster(settings: Settings, timeout: float = TIMEOUT) -> Cluster:
    """A cluster for the settings' contact points, which the driver resolves now and never again.

    `timeout` in seconds, of each connection and request. Raises OSError where none has an address.
    """
    profile = ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(settings.cassandra_local_dc),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=timeout,
        # A node that falls silent is taken for down only after seconds: meanwhile another one is asked, too.
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(_IMPATIENT_SECONDS, 1),
        row_factory=tuple_factory,
    )
    login = None
    if settings.cassandra_username:
        login = PlainTextAuthProvider(settings.cassandra_username, settings.cassandra_password)
    try:
        return _cluster(settings, profile, login, timeout)
    except UnresolvableContactPoints as error:
        raise OSError(f"no address is known for {settings.cassandra_contact_points}") from error


def _cluster(
    settings: Settings, profile: ExecutionProfile, login: PlainTextAuthProvider | None, timeout: float
) -> Cluster:
    return Cluster(
        [point.strip() for point in settings.cassandra_contact_points.split(",")],
        port=settings.cassandra_port,
        auth_provider=login,
        ssl_context=_tls(settings.cassandra_ca_file) if settings.cassandra_ca_file else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connection_class=LibevConnection,
        # 4 is what Cassandra 4 and 5 both speak, without the checksums that Python would pay for.
        protocol_version=4,
        compression=False,
        reconnection_policy=ConstantReconnectionPolicy(1.0, max_attempts=None),
        connect_timeout=timeout,
        control_connection_timeout=timeout,
        idle_heartbeat_interval=2,
        idle_heartbeat_timeout=2,
        schema_metadata_enabled=False,
        token_metadata_enabled=False,
        executor_threads=2,
    )


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    # Nodes are addressed as they name themselves to each other, by numbers that certificates seldom hold.
    context.check_hostname = False
    return context


class Connection:
    """Prepared statements on a session that is rebuilt when no host has answered for some seconds."""

    def __init__(
        self, open: Callable[[], Cluster], statements: Mapping[str, str], report: Callable[[float], None]
    ) -> None:
        """`statements`: CQL by name, all of which must prepare; `report` is told 1 (reached) and 0 (lost)."""
        self._open = open
        self._cql = statements
        self._report = report
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._answered = float("-inf")
        self._failure: str | None = _NOT_REACHED
        report(0)
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="store-keeper", daemon=True)
        self._keeper.start()
        # A worker that is started while Cassandra is up refuses nobody; one without does not wait long.
        self._tried.wait(_PROBE_SECONDS)

    def start(self, name: str, values: Sequence[Any]) -> ResponseFuture:
        """Send the statement of that name; finish() waits for its rows."""
        if self._session is None:
            raise StoreUnavailable(f"the store is unavailable: {self._failure}")
        try:
            return self._session.execute_async(self._prepared[name].bind(values), timeout=TIMEOUT)
        except FAILURES as error:
            raise self._lost(error) from error

    def finish(self, future: ResponseFuture) -> list[tuple[Any, ...]]:
        """The rows of a statement that was started."""
        try:
            rows = future.result().current_rows
        except FAILURES as error:
            raise self._lost(error) from error
        self._found()
        return rows  # type: ignore[no-any-return]

    def execute(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self.finish(self.start(name, values))

    def status(self) -> Status:
        """Reached once every statement is prepared; unavailable after a second without a successful call."""
        failure = self._failure
        silent = time.monotonic() - self._answered > _PROBE_SECONDS
        return Status(self._session is not None, available=not (failure and silent), failure=failure)

    def close(self) -> None:
        self._stop.set()
        self._keeper.join()
        if self._cluster:
            self._cluster.shutdown()

    def _found(self) -> None:
        self._answered = time.monotonic()
        if self._failure is not None:
            self._failure = None
            self._report(1)
            _LOG.warning("store reached")

    def _lost(self, error: BaseException) -> StoreUnavailable:
        reason = " ".join(str(error).split())
        if self._failure in (None, _NOT_REACHED):
            self._report(0)
            _LOG.error("store away", extra={"reason": reason})
        self._failure = reason
        return StoreUnavailable(f"the store does not answer: {reason}")

    def _keep(self) -> None:
        tried = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            silent = now - self._answered
            if self._session is None:
                self._connect()
                self._tried.set()
            elif silent >= _PROBE_SECONDS and not self._probe() and min(silent, now - tried) >= _REBUILD_SECONDS:
                self._connect()
                tried = time.monotonic()
            self._stop.wait(_PROBE_SECONDS)

    def _probe(self) -> bool:
        try:
            self.execute("probe", ())
        except StoreUnavailable:
            return False
        return True

    def _connect(self) -> None:
        """Make a new session, from names resolved anew, and put it in the old one's place."""
        cluster = None
        try:
            cluster = self._open()
            session = cluster.connect()
            session.default_fetch_size = None
            prepared = {name: session.prepare(cql) for name, cql in self._cql.items()}
            for name, statement in prepared.items():
                statement.is_idempotent = " IF " not in self._cql[name]
        except FAILURES as error:
            self._lost(error)
            if cluster:
                cluster.shutdown()
            return
        old, self._cluster = self._cluster, cluster
        self._prepared, self._session = prepared, session
        self._found()
        if old:
            old.shutdown()
