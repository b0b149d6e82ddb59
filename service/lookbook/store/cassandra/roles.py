"""Roles of a Cassandra ring that only Lookbook uses: an admin and the service's role.

The admin replaces Cassandra's default superuser, whose password everybody knows.
"""

from dataclasses import replace

from cassandra import AuthenticationFailed, ConsistencyLevel
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from lookbook.errors import StoreUnavailable
from lookbook.settings import Settings
from lookbook.store.cassandra.cluster import PATIENT_SECONDS, open_cluster

DEFAULT_SUPERUSER = "cassandra"  # its password is the same

_STATEMENT_SECONDS = 30
_MAX_ROLE_REPLICAS = 3


def superuser_settings(settings: Settings) -> Settings:
    """The settings with a superuser that can log in: the admin or, on a new ring, the default superuser.

    Raises StoreUnavailable if neither can log in.
    """
    default = replace(settings, cassandra_username=DEFAULT_SUPERUSER, cassandra_password=DEFAULT_SUPERUSER)
    for candidate in (settings, default):
        if _can_log_in(candidate):
            return candidate
    raise StoreUnavailable(
        f"neither {settings.cassandra_username} nor Cassandra's default superuser can log in; if the volumes are "
        "older than the Secret, restore the old Secret or see 'Replace a lost Secret' in charts/lookbook/README.md"
    )


def ensure_admin(session: Session, settings: Settings) -> None:
    """Replicate the roles to several nodes and make the settings' user a superuser that can log in.

    Raises StoreUnavailable until all nodes have joined.
    """
    _replicate_roles(session, settings)
    if not _can_log_in(settings):
        _set_password(session, settings.cassandra_username, settings.cassandra_password, superuser=True)


def disable_default_superuser(session: Session) -> None:
    ((can_log_in,),) = session.execute("SELECT can_login FROM system_auth.roles WHERE role = %s", (DEFAULT_SUPERUSER,))
    if can_log_in:
        session.execute(
            f"ALTER ROLE {DEFAULT_SUPERUSER} WITH SUPERUSER = false AND LOGIN = false", timeout=_STATEMENT_SECONDS
        )


def ensure_service_role(session: Session, settings: Settings) -> None:
    """Create the service's role, or set its password; it may read and write the keyspace and nothing else."""
    name, password = settings.cassandra_service_username, settings.cassandra_service_password
    if not _can_log_in(replace(settings, cassandra_username=name, cassandra_password=password)):
        _set_password(session, name, password, superuser=False)
    for permission in ("SELECT", "MODIFY"):
        session.execute(
            f"GRANT {permission} ON KEYSPACE {settings.cassandra_keyspace} TO {_identifier(name)}",
            timeout=_STATEMENT_SECONDS,
        )


def _can_log_in(settings: Settings) -> bool:
    try:
        with open_cluster(settings, PATIENT_SECONDS) as cluster:
            cluster.connect()
    except NoHostAvailable as error:
        # `errors` is a dict of reasons or, if the driver has no reasons, a list of hosts.
        reasons = list(error.errors.values()) if isinstance(error.errors, dict) else []
        if reasons and all(isinstance(reason, AuthenticationFailed) for reason in reasons):
            return False
        raise
    return True


def _set_password(session: Session, role: str, password: str, superuser: bool) -> None:
    exists = session.execute("SELECT role FROM system_auth.roles WHERE role = %s", (role,)).all()
    options = f"PASSWORD = '{_escaped(password)}' AND LOGIN = true AND SUPERUSER = {str(superuser).lower()}"
    session.execute(
        f"{'ALTER' if exists else 'CREATE'} ROLE {_identifier(role)} WITH {options}", timeout=_STATEMENT_SECONDS
    )


def _replicate_roles(session: Session, settings: Settings) -> None:
    """Replicate system_auth, so that logins survive losing a node. Raises StoreUnavailable until all have joined."""
    _check_all_joined(session, settings)
    replicas = min(_MAX_ROLE_REPLICAS, settings.cassandra_nodes)
    datacenter = settings.cassandra_local_dc
    ((found,),) = session.execute("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'")
    if found.get(datacenter) != str(replicas):
        options = f"{{'class': 'NetworkTopologyStrategy', '{_escaped(datacenter)}': {replicas}}}"
        session.execute(f"ALTER KEYSPACE system_auth WITH replication = {options}", timeout=_STATEMENT_SECONDS)
    tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system_auth'")
    for (table,) in tables:
        # A read at consistency ALL repairs: it writes missing rows to the replicas that lack them.
        repair = SimpleStatement(f"SELECT * FROM system_auth.{table}", consistency_level=ConsistencyLevel.ALL)
        session.execute(repair, timeout=_STATEMENT_SECONDS)


def _check_all_joined(session: Session, settings: Settings) -> None:
    ((peers,),) = session.execute("SELECT count(*) FROM system.peers")
    if peers + 1 < settings.cassandra_nodes:
        joined = f"{peers + 1} of {settings.cassandra_nodes} nodes {'have' if peers else 'has'} joined the ring"
        raise StoreUnavailable(f"only {joined} so far")


def _escaped(text: str) -> str:
    """The text inside a CQL string literal."""
    return text.replace("'", "''")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
