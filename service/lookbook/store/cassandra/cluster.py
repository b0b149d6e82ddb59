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
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import tuple_factory

from lookbook.settings import Settings
from lookbook.store import TIMEOUT_SECONDS

# Everything that a call of the driver raises. ErrorMessage: server errors without an exception class of their own.
DRIVER_ERRORS = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)

# Timeout of each connection and request where no client waits for a response.
PATIENT_SECONDS = 10.0

_SPECULATIVE_SECONDS = 0.4


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
            execution_profiles={EXEC_PROFILE_DEFAULT: _profile(settings, timeout)},
            connection_class=LibevConnection,
            # Cassandra 4 and 5 both speak version 4, which has no checksums for Python to compute.
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
    except UnresolvableContactPoints as error:
        raise OSError(
            f"cannot resolve {settings.cassandra_contact_points}: check LOOKBOOK_CASSANDRA_CONTACT_POINTS"
        ) from error


def _profile(settings: Settings, timeout: float) -> ExecutionProfile:
    return ExecutionProfile(
        load_balancing_policy=DCAwareRoundRobinPolicy(settings.cassandra_local_dc),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
        request_timeout=timeout,
        # The driver needs seconds to notice that a node is silent. Until then, a second node is asked, too.
        speculative_execution_policy=ConstantSpeculativeExecutionPolicy(_SPECULATIVE_SECONDS, 1),
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
