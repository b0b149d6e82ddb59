"""The settings: one table, read once from the environment."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lookbook.errors import SettingsError

PREFIX = "LOOKBOOK_"
# What `lookbook classify` and `lookbook history` read; they may stand in the environment of a server, too.
CLIENT_NAMES = (f"{PREFIX}URL", f"{PREFIX}TOKEN")
# A Service named lookbook or lookbook-... puts these into every pod of its namespace.
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST=|SERVICE_PORT\w*=|PORT_\d+_(TCP|UDP|SCTP)\w*=|PORT=(tcp|udp|sctp)://).*")
_ADDRESS = re.compile(r"([^\s:\[\]]*|\[[^\s\[\]]+\]):(\d{1,5})", re.ASCII)


def _setting(default: Any, help: str, *, least: int = 0, most: int = 2**31 - 1, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help, "least": least, "most": most, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its default and its help text in the field's metadata."""

    bind: str = _setting("127.0.0.1:8080", "address and port to listen on")
    workers: int = _setting(0, "worker processes; 0: one for each CPU of the quota")
    model: str = _setting("models/lookbook-clothes/2.2.0", "folder of the model bundle")
    store: str = _setting("sqlite", "where answers are kept: sqlite or cassandra", choices=("sqlite", "cassandra"))
    sqlite_path: str = _setting("lookbook.sqlite", "file of the SQLite store")
    cassandra_contact_points: str = _setting("127.0.0.1", "names or addresses of Cassandra nodes, comma-separated")
    cassandra_port: int = _setting(9042, "CQL port", least=1, most=65535)
    cassandra_local_dc: str = _setting("datacenter1", "the local data centre")
    cassandra_keyspace: str = _setting("lookbook", "keyspace")
    cassandra_username: str = _setting("", "role to log in as; empty: no login")
    cassandra_password: str = _setting("", "its password")
    cassandra_ca_file: str = _setting("", "file of the authority that signed the nodes' certificates; empty: no TLS")
    cassandra_replication: int = _setting(1, "replicas in the local data centre (schema)", least=1)
    cassandra_nodes: int = _setting(1, "nodes of a ring that is Lookbook's alone (schema)", least=1)
    cassandra_service_username: str = _setting(
        "", "role made for the service in such a ring; empty: roles are left alone (schema)"
    )
    cassandra_service_password: str = _setting("", "its password (schema)")
    shards: int = _setting(1, "partitions that ten minutes of answers are spread over, 1 to 256", least=1, most=256)
    retention: int = _setting(0, "seconds that answers are kept; 0: for ever", most=630_000_000)
    thumbnails: bool = _setting(True, "keep a thumbnail of each picture")
    max_bytes: int = _setting(8 * 1024 * 1024, "largest request body in bytes", least=1)
    max_pixels: int = _setting(25_000_000, "largest picture in pixels", least=1)
    max_requests: int = _setting(24, "requests in a worker at once, running or waiting; more get 503", least=1)
    max_inferences: int = _setting(
        1, "pictures decoded and classified in a worker at once; at 1 it keeps to one CPU at a time", least=1
    )
    max_batch: int = _setting(32, "pictures in one call of /v2", least=1)
    body_timeout: int = _setting(10, "seconds in which a request body must arrive", least=1)
    reload: bool = _setting(False, "start anew when code changes, for development")
    otlp_endpoint: str = _setting("", "OpenTelemetry collector that gets spans; empty: none are made")
    tokens_file: str = _setting("", "file of bearer tokens, one a line; empty: anybody may read and write")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises SettingsError for a value that does not parse and a LOOKBOOK_ name that is no setting."""
        known = {PREFIX + entry.name.upper(): entry for entry in dataclasses.fields(cls)}
        for name in sorted(environment):
            if name.startswith(PREFIX) and _SERVICE_LINK.fullmatch(f"{name}={environment[name]}"):
                raise SettingsError(
                    f"{name}={environment[name]}: set by Kubernetes for a Service, not by you; "
                    "put enableServiceLinks: false into the pod's spec"
                )
            if name.startswith(PREFIX) and name not in (*known, *CLIENT_NAMES):
                raise SettingsError(f"{name} is not a setting; `lookbook serve --help` lists them")
        given = {name: environment[name] for name in known if name in environment}
        return cls(**{known[name].name: _parse(name, text, known[name]) for name, text in given.items()})


def table() -> list[tuple[str, str, str]]:
    """Name of the variable, default and help of each setting."""
    return [
        (PREFIX + entry.name.upper(), _shown(entry.default), entry.metadata["help"])
        for entry in dataclasses.fields(Settings)
    ]


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _parse(name: str, text: str, entry: "dataclasses.Field[Any]") -> Any:
    if isinstance(entry.default, bool):
        if text.lower() not in ("true", "false"):
            raise SettingsError(f"{name}={text}: must be true or false")
        return text.lower() == "true"
    if isinstance(entry.default, int):
        least, most = entry.metadata["least"], entry.metadata["most"]
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise SettingsError(f"{name}={text}: must be a whole number, at least {least} and at most {most}")
        return int(text)
    choices = entry.metadata["choices"]
    if choices and text not in choices:
        raise SettingsError(f"{name}={text}: must be one of {', '.join(choices)}")
    if entry.name == "bind" and not _is_address(text):
        raise SettingsError(f"{name}={text}: must be <address>:<port>, an IPv6 address in brackets")
    if entry.name == "otlp_endpoint" and text and not text.startswith(("http://", "https://")):
        raise SettingsError(f"{name}={text}: must be a URL, http:// or https://")
    return text


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and int(match[2]) <= 65535
