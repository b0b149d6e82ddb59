"""How to connect to Cassandra: addresses, login, TLS, timeouts, and consistency.

Tests: tests/unit/test_connection.py.
"""

import ssl

from cassandra import ConsistencyLevel, DriverException, UnresolvableContactPoints
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    SimpleConvictionPolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import tuple_factory

from lookbook.settings import Settings
from lookbook.store import TIMEOUT_SECONDS
from lookbook.store.cassandra.hedging import Hedging

# Everything that a call of the driver raises. ErrorMessage: server errors without an exception class of their own.
DRIVER_ERRORS = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)

# Timeout of each connection and request where no client waits for a response.
PATIENT_SECONDS = 10.0

# The profile of statements with IF, whose attempts delay each other.
CONDITIONAL = "conditional"

# How long a node may take before the next one is asked, too, in seconds.
_NEXT_NODE_SECONDS = 0.2
_NEXT_NODE_SECONDS_IF_CONDITIONAL = 0.6


def open_cluster(settings: Settings, timeout: float = TIMEOUT_SECONDS) -> Cluster:
    """A cluster whose contact points are resolved now and never again; `timeout` is in seconds.

    Raises OSError if no contact point has an address.
    """
    try:
        return Cluster(
            [point.strip() for point in settings.cassandra_contact_points.split(",")],
            port=settings.cassandra_port,
            auth_provider=_login(settings),
            ssl_context=_tls(settings.cassandra_ca_file) if settings.cassandra_ca_file else None,
            execution_profiles={
                EXEC_PROFILE_DEFAULT: _profile(settings, timeout, _NEXT_NODE_SECONDS),
                CONDITIONAL: _profile(settings, timeout, _NEXT_NODE_SECONDS_IF_CONDITIONAL),
            },
            connection_class=LibevConnection,
            # Cassandra 4 and 5 both speak version 4, which has no checksums for Python to compute.
            protocol_version=4,
            compression=False,
            conviction_policy_factory=_Conviction,
            reconnection_policy=ConstantReconnectionPolicy(0.25, max_attempts=None),
            connect_timeout=timeout,
            control_connection_timeout=timeout,
            # A heartbeat that is late closes all connections to a node, and on busy machines it is late on several
            # nodes at once. So it only finds nodes that hang; until then, the next node is asked, too.
            idle_heartbeat_interval=2,
            idle_heartbeat_timeout=15,
            schema_metadata_enabled=False,
            token_metadata_enabled=False,
            # The driver prepares a statement again when a node does not know it.
            prepare_on_all_hosts=False,
            reprepare_on_up=False,
            # They wait for nodes that do not respond, and send requests to the next node.
            executor_threads=8,
        )
    except UnresolvableContactPoints as error:
        raise OSError(
            f"cannot resolve {settings.cassandra_contact_points}: check LOOKBOOK_CASSANDRA_CONTACT_POINTS"
        ) from error


class _Conviction(SimpleConvictionPolicy):  # type: ignore[misc]
    """Marks a node down, and so has the driver connect to it again, also after a timeout.

    After a timeout, the driver's own policy would never return to a node that was too busy when the session was opened.
    """

    def add_failure(self, _: BaseException) -> bool:
        return True


def _profile(settings: Settings, timeout: float, next_node: float) -> ExecutionProfile:
    return ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(settings.cassandra_local_dc),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=timeout,
        speculative_execution_policy=Hedging(next_node),
        row_factory=tuple_factory,
    )


def _login(settings: Settings) -> PlainTextAuthProvider | None:
    if not settings.cassandra_username:
        return None
    return PlainTextAuthProvider(settings.cassandra_username, settings.cassandra_password)


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    # The driver connects to the IP addresses that nodes announce; certificates seldom list those.
    context.check_hostname = False
    return context
