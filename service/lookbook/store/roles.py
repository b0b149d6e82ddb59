"""The roles of a ring that is ours alone: an admin in place of Cassandra's first superuser, and one for the service."""

from dataclasses import replace

from cassandra import AuthenticationFailed, ConsistencyLevel
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

from lookbook.errors import StoreUnavailable
from lookbook.settings import Settings
from lookbook.store.connection import PATIENT, open_cluster

FIRST = "cassandra"  # the first superuser and its password, both known to everybody

_SECONDS = 30
_MOST_COPIES = 3


def way_in(settings: Settings) -> Settings:
    """The settings with a superuser that can log in: the admin, or the first one. Raises StoreUnavailable."""
    first = replace(settings, cassandra_username=FIRST, cassandra_password=FIRST)
    for candidate in (settings, first):
        if _can_log_in(candidate):
            return candidate
    raise StoreUnavailable(
        f"neither {settings.cassandra_username} nor Cassandra's first superuser can log in: where the volumes "
        "are older than the Secret, bring the old one back or see 'A lost Secret' in charts/lookbook/README.md"
    )


def make_admin(session: Session, settings: Settings) -> None:
    """Copy the roles to several nodes, and see that the settings' user is one. Raises StoreUnavailable."""
    _copy_roles(session, settings)
    if not _can_log_in(settings):
        _set_password(session, settings.cassandra_username, settings.cassandra_password, superuser=True)


def retire_first(session: Session) -> None:
    """Lock the first superuser out."""
    ((active,),) = session.execute("SELECT can_login FROM system_auth.roles WHERE role = %s", (FIRST,))
    if active:
        session.execute(f"ALTER ROLE {FIRST} WITH SUPERUSER = false AND LOGIN = false", timeout=_SECONDS)


def admit_service(session: Session, settings: Settings) -> None:
    """Make the service's role and give it the rights to read and write the keyspace, and no more."""
    name, password = settings.cassandra_service_username, settings.cassandra_service_password
    if not _can_log_in(replace(settings, cassandra_username=name, cassandra_password=password)):
        _set_password(session, name, password, superuser=False)
    for right in ("SELECT", "MODIFY"):
        session.execute(f"GRANT {right} ON KEYSPACE {settings.cassandra_keyspace} TO {_name(name)}", timeout=_SECONDS)


def _can_log_in(settings: Settings) -> bool:
    try:
        with open_cluster(settings, PATIENT) as cluster:
            cluster.connect()
    except NoHostAvailable as error:
        # A list of hosts where the driver knows no reasons.
        reasons = list(error.errors.values()) if isinstance(error.errors, dict) else []
        if reasons and all(isinstance(reason, AuthenticationFailed) for reason in reasons):
            return False
        raise
    return True


def _set_password(session: Session, role: str, password: str, superuser: bool) -> None:
    known = session.execute("SELECT role FROM system_auth.roles WHERE role = %s", (role,)).all()
    options = f"PASSWORD = '{_quoted(password)}' AND LOGIN = true AND SUPERUSER = {str(superuser).lower()}"
    session.execute(f"{'ALTER' if known else 'CREATE'} ROLE {_name(role)} WITH {options}", timeout=_SECONDS)


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _name(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _copy_roles(session: Session, settings: Settings) -> None:
    """Keep the roles on several nodes, once all have joined: a login must not hang on one of them."""
    ((others,),) = session.execute("SELECT count(*) FROM system.peers")
    if others + 1 < settings.cassandra_nodes:
        raise StoreUnavailable(f"{others + 1} of {settings.cassandra_nodes} nodes have joined")
    copies = min(_MOST_COPIES, settings.cassandra_nodes)
    options = f"{{'class': 'NetworkTopologyStrategy', '{_quoted(settings.cassandra_local_dc)}': {copies}}}"
    ((found,),) = session.execute("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'system_auth'")
    if found.get(settings.cassandra_local_dc) != str(copies):
        session.execute(f"ALTER KEYSPACE system_auth WITH replication = {options}", timeout=_SECONDS)
    tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system_auth'")
    for (table,) in tables:
        # What a read at ALL finds on one node only it writes to the others.
        everywhere = SimpleStatement(f"SELECT * FROM system_auth.{table}", consistency_level=ConsistencyLevel.ALL)
        session.execute(everywhere, timeout=_SECONDS)
