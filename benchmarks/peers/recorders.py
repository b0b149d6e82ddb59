"""The servers that keep a record of each prediction: Lookbook, and KServe with its payload logger."""

import dataclasses
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cassandra.cluster import Session
from lookbook.prediction import from_sort_key
from lookbook.settings import Settings

from benchmarks.cases import SMALL, Sample
from benchmarks.keyspace import keyspace
from benchmarks.peers.gate import Gate
from benchmarks.peers.peers import AGENT, KSERVE, Peer, Start, lookbook, others, payload_logger
from benchmarks.peers.running import Running, run
from benchmarks.peers.sink import sink
from benchmarks.peers.vegeta import Answer

_KEYSPACE = "lookbook_bench_stall"

Block = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Recorder:
    """A running server, what can happen to its sink or store, and what is in there.

    `record` is the ID of the record that belongs to an accepted request.
    """

    running: Running
    processes: Sequence[subprocess.Popen[bytes]]
    stalled: Block
    refusing: Block | None
    record: Callable[[Answer], str]
    records: Callable[[], set[str]]


@contextmanager
def kserve() -> Iterator[Recorder]:
    with sink() as receiver, Gate("127.0.0.1", receiver.server_port) as gate, run(KSERVE, SMALL) as server:
        component = urlsplit(server.url).port or 0
        with run(payload_logger(component, gate.port), SMALL) as agent:
            yield Recorder(
                agent,
                (server.process, agent.process),
                gate.stalled,
                gate.refusing,
                lambda answer: str(answer.number),
                # The readiness probes leave records, too, under IDs that KServe makes.
                lambda: {id for id in list(receiver.ids) if id.isdigit()},
            )


@contextmanager
def sqlite() -> Iterator[Recorder]:
    with run(lookbook("sqlite", False), SMALL) as server:
        file = server.body.file.with_name("lookbook.sqlite")
        yield Recorder(
            server, (server.process,), lambda: _locked(file), None, _lookbooks_id, lambda: _ids_in_sqlite(file)
        )


@contextmanager
def cassandra() -> Iterator[Recorder]:
    with keyspace(_KEYSPACE) as (settings, session), in_keyspace(settings, session) as recorder:
        yield recorder


@contextmanager
def in_keyspace(settings: Settings, session: Session) -> Iterator[Recorder]:
    """Lookbook with an empty keyspace, to which the session has a way of its own."""
    host = settings.cassandra_contact_points.partition(",")[0].strip()
    with Gate(host, settings.cassandra_port) as gate, run(_through(gate, settings), SMALL) as server:
        yield Recorder(
            server,
            (server.process,),
            gate.stalled,
            gate.refusing,
            _lookbooks_id,
            lambda: _ids_in_cassandra(session, settings.cassandra_keyspace),
        )


def available(stores: Sequence[str]) -> dict[str, Callable[[], AbstractContextManager[Recorder]]]:
    """What can be measured here, by name."""
    found: dict[str, Callable[[], AbstractContextManager[Recorder]]] = {}
    if KSERVE in others() and AGENT.exists():
        found["KServe, payload logger"] = kserve
    found["Lookbook, SQLite"] = sqlite
    if "cassandra" in stores:
        found["Lookbook, Cassandra"] = cassandra
    return found


def _through(gate: Gate, settings: Settings) -> Peer:
    peer = lookbook("cassandra", False)
    variables = {
        "LOOKBOOK_CASSANDRA_CONTACT_POINTS": "127.0.0.1",
        "LOOKBOOK_CASSANDRA_PORT": str(gate.port),
        "LOOKBOOK_CASSANDRA_KEYSPACE": settings.cassandra_keyspace,
        "LOOKBOOK_CASSANDRA_USERNAME": settings.cassandra_username,
        "LOOKBOOK_CASSANDRA_PASSWORD": settings.cassandra_password,
    }

    def prepare(sample: Sample, port: int, folder: Path) -> Start:
        start = peer.prepare(sample, port, folder)
        return dataclasses.replace(start, variables={**start.variables, **variables})

    return dataclasses.replace(peer, prepare=prepare)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """As if another process wrote to the file all the time."""
    with closing(_connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def _ids_in_sqlite(file: Path) -> set[str]:
    with closing(_connect(file)) as connection:
        return {str(from_sort_key(key)) for (key,) in connection.execute("SELECT key FROM predictions")}


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=60, isolation_level=None)


def _ids_in_cassandra(session: Session, name: str) -> set[str]:
    return {str(id) for (id,) in session.execute(f"SELECT id FROM {name}.predictions")}


def _lookbooks_id(answer: Answer) -> str:
    found: dict[str, Any] = json.loads(answer.content)
    return str(found["id"])
