"""The settings: one table, read once from the environment."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lookbook.errors import SettingsError

PREFIX = "LOOKBOOK_"
# Read by the commands that use a server; accepted, too, in the environment of a server.
CLIENT_NAMES = (f"{PREFIX}URL", f"{PREFIX}TOKEN")
# Kubernetes sets these variables in every pod of a namespace that has a Service named lookbook or lookbook-...
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST=|SERVICE_PORT\w*=|PORT_\d+_(TCP|UDP|SCTP)\w*=|PORT=(tcp|udp|sctp)://).*")
_ADDRESS = re.compile(r"([^\s:\[\]]*|\[[^\s\[\]]+\]):(\d{1,5})", re.ASCII)


def _text(default: str, help: str, check: Callable[[str], None] | None = None) -> Any:
    """`check` raises ValueError for a text that cannot be used."""

    def parse(text: str) -> str:
        if default and not text.strip():
            raise ValueError(f"must not be empty; unset it to use {default}")
        if check:
            check(text)
        return text

    return _setting(default, help, parse)


def _number(default: int, help: str, *, minimum: int = 0, maximum: int = 2**31 - 1) -> Any:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return _setting(default, help, parse)


def _flag(default: bool, help: str) -> Any:
    def parse(text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("must be true or false")
        return text.lower() == "true"

    return _setting(default, help, parse)


def _choice(default: str, help: str, *others: str) -> Any:
    values = (default, *others)

    def check(text: str) -> None:
        if text not in values:
            raise ValueError(f"must be {', '.join(values[:-1])}{',' * (len(values) > 2)} or {values[-1]}")

    return _text(default, help, check)


def _setting(default: Any, help: str, parse: Callable[[str], Any]) -> Any:
    return field(default=default, metadata={"help": help, "parse": parse})


def _check_address(text: str) -> None:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError("must be <address>:<port>, with an IPv6 address in brackets")
    if int(match[2]) > 65535:
        raise ValueError("must have a port of at most 65535")


def _check_peers(text: str) -> None:
    if text:
        _check_address(text)


def _check_file(text: str) -> None:
    if text == ":memory:":
        raise ValueError("must be the path of a file; predictions in memory would not survive a restart")


def _check_url(text: str) -> None:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("must be a URL that starts with http:// or https://")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; the help text and the parser are in the field's metadata."""

    bind: str = _text(
        "127.0.0.1:8080",
        "address and port to listen on; without an address, or with [::], all IPv6 and IPv4 addresses",
        _check_address,
    )
    workers: int = _number(0, "number of worker processes; 0: one for each available CPU")
    model: str = _text("models/lookbook-clothes/3.0.0", "folder of the model bundle")
    store: str = _choice("sqlite", "where predictions are stored: sqlite or cassandra", "cassandra")
    sqlite_path: str = _text("lookbook.sqlite", "file of the SQLite store", _check_file)
    cassandra_contact_points: str = _text("127.0.0.1", "host names or addresses of Cassandra nodes, comma-separated")
    cassandra_port: int = _number(9042, "CQL port of the nodes", minimum=1, maximum=65535)
    cassandra_local_dc: str = _text("datacenter1", "name of the local data center")
    cassandra_keyspace: str = _text("lookbook", "keyspace of the tables")
    cassandra_username: str = _text("", "role to log in as; empty: no login")
    cassandra_password: str = _text("", "password of that role")
    cassandra_ca_file: str = _text("", "PEM file of the CA that signed the nodes' certificates; empty: no TLS")
    cassandra_replication: int = _number(
        1, "number of copies of each prediction in the local data center (for `lookbook schema`)", minimum=1
    )
    cassandra_nodes: int = _number(
        1, "number of nodes in a ring that only Lookbook uses (for `lookbook schema`)", minimum=1
    )
    cassandra_service_username: str = _text(
        "",
        "role to create for the service, in a ring that only Lookbook uses; empty: roles are not changed "
        "(for `lookbook schema`)",
    )
    cassandra_service_password: str = _text("", "password of that role (for `lookbook schema`)")
    peers: str = _text(
        "",
        "DNS name that resolves to all servers that share the store, and their port, such as lookbook-peers:8080; "
        "a server that cannot reach the store is not ready while another one can; empty: no other servers",
        _check_peers,
    )
    shards: int = _number(
        1,
        "partitions per ten minutes of predictions, 1 to 256; use one for each 1,000 predictions per second",
        minimum=1,
        maximum=256,
    )
    retention: int = _number(0, "seconds that predictions are kept; 0: no limit", maximum=630_000_000)
    thumbnails: bool = _flag(True, "whether to store a thumbnail of each image")
    keep: str = _choice(
        "input",
        "what to keep of images, for review and replay: input (the pixels that the model sees), original (the uploaded "
        "files), or none",
        "original",
        "none",
    )
    keep_for: str = _choice(
        "sample", "which images to keep: sample (about 20 per worker every ten minutes, chosen at random) or all", "all"
    )
    keep_days: int = _number(
        28,
        "days to keep images and comparisons of models, unless the retention is shorter",
        minimum=1,
        maximum=3650,
    )
    max_bytes: int = _number(8 * 1024 * 1024, "maximum size of a request body, in bytes", minimum=1)
    max_pixels: int = _number(25_000_000, "maximum size of an image, in pixels", minimum=1)
    max_requests: int = _number(
        24,
        "maximum number of requests that a worker handles at once, running or waiting; more are refused with 503",
        minimum=1,
    )
    max_inferences: int = _number(
        1, "maximum number of images that a worker decodes and classifies at once; with 1 it uses one CPU", minimum=1
    )
    max_batch: int = _number(32, "maximum number of images in one /v2 request", minimum=1)
    body_timeout: int = _number(
        10, "seconds that a request body may take to arrive before LOOKBOOK_BODY_RATE applies", minimum=1
    )
    body_rate: int = _number(
        128 * 1024, "minimum rate at which a request body must arrive after that time, in bytes per second", minimum=1
    )
    keep_alive: int = _number(
        75,
        "seconds that an idle connection stays open; a load balancer in front should close its connections first; "
        "0: close each after its response",
    )
    reload: bool = _flag(False, "whether to restart when the code changes, for development")
    otlp_endpoint: str = _text(
        "", "URL of an OpenTelemetry collector to send traces to; empty: tracing is off", _check_url
    )
    tokens_file: str = _text(
        "", "file of bearer tokens, one per line, optionally with roles; empty: no token is needed"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises SettingsError for a value that cannot be used and for a LOOKBOOK_ name that is not a setting."""
        known = {PREFIX + entry.name.upper(): entry for entry in dataclasses.fields(cls)}
        for name in sorted(environment):
            if name.startswith(PREFIX):
                _check_name(name, environment[name], known.keys())
        given = {name: environment[name] for name in known if name in environment}
        return cls(**{known[name].name: _parse(name, text, known[name]) for name, text in given.items()})


def table() -> list[tuple[str, str, str]]:
    """Environment variable, default, and help text of each setting."""
    return [
        (PREFIX + entry.name.upper(), _shown(entry.default), entry.metadata["help"])
        for entry in dataclasses.fields(Settings)
    ]


def _shown(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _check_name(name: str, text: str, known: Iterable[str]) -> None:
    if _SERVICE_LINK.fullmatch(f"{name}={text}"):
        raise SettingsError(
            f"{name}={text}: Kubernetes sets this variable for a Service; "
            "set enableServiceLinks: false in the pod's spec"
        )
    if name not in (*known, *CLIENT_NAMES):
        raise SettingsError(f"{name} is not a setting; `lookbook serve --help` lists the settings")


def _parse(name: str, text: str, entry: "dataclasses.Field[Any]") -> Any:
    try:
        return entry.metadata["parse"](text)
    except ValueError as error:
        raise SettingsError(f"{name}={text}: {error}") from error
