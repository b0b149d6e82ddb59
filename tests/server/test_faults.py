"""Cassandra away, and back; in a container that these tests stop, pause and start."""

import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, create_server

import pytest
import requests
from cassandra.cluster import Session
from lookbook.prediction import id_maker
from lookbook.settings import Settings
from lookbook.store.cassandra import CassandraStore
from lookbook.store.cassandra.cluster import DRIVER_ERRORS, open_cluster

from tests.support.load import kill_under_load, liveness, one_key_at_once
from tests.support.places import BAG, CASSANDRA_PORT, CONTAINER
from tests.support.requirements import lacking
from tests.support.running import Service, docker, free_port, until

pytestmark = pytest.mark.cassandra


@pytest.fixture
def on_cassandra(cassandra: Settings) -> dict[str, object]:
    """What `serve` needs to use the real Cassandra."""
    names = ("store", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    return {name: getattr(cassandra, name) for name in names}


@pytest.fixture
def container() -> str:
    """The name of the container behind the port; skips where it is somebody else's Cassandra."""
    if subprocess.run(["docker", "inspect", CONTAINER], capture_output=True).returncode:
        lacking(f"no container {CONTAINER}: start one with `make cassandra`")
    return CONTAINER


def refused(service: Service) -> None:
    """A picture is refused within two seconds, with a 503 that says when to come back."""
    began = time.monotonic()
    response = service.send(BAG.read_bytes())
    assert time.monotonic() - began < 2
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def refused_undecoded(service: Service) -> bool:
    before = decoded(service)
    refused(service)
    return decoded(service) == before


def decoded(service: Service) -> str:
    """The line of /metrics that counts decoded pictures."""
    lines = requests.get(f"{service.url}/metrics", timeout=5).text.splitlines()
    return next(line for line in lines if line.startswith("lookbook_decode_seconds_count"))


def survives(service: Service, harm: Callable[[], object], mend: Callable[[], object], up: Callable[[], bool]) -> None:
    """Harm the store, see nothing acknowledged; mend it, see the service come back by itself."""
    kept = service.send(BAG.read_bytes()).json()["id"]
    harm()
    try:
        for _ in range(3):
            refused(service)
        assert requests.get(f"{service.url}/readyz", timeout=5).status_code == 200
        until(lambda: "lookbook_store_up 0.0" in requests.get(f"{service.url}/metrics", timeout=5).text, 5)
        assert requests.get(f"{service.url}/livez", timeout=5).status_code == 200
        until(lambda: refused_undecoded(service), 5)
    finally:
        mend()
    until(up, 90)
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)
    until(lambda: "lookbook_store_up 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text, 5)
    assert kept in service.all_ids()


def answers(settings: Settings) -> bool:
    """Whether a new client can log in and read."""
    try:
        with open_cluster(settings) as cluster:
            cluster.connect(settings.cassandra_keyspace).execute("SELECT key FROM idempotency_keys LIMIT 1")
    except DRIVER_ERRORS:
        return False
    return True


def test_stopped(serve: Callable[..., Service], on_cassandra: dict, cassandra: Settings, container: str) -> None:
    service = serve(**on_cassandra).ready()
    survives(
        service,
        lambda: docker("stop", container),
        lambda: docker("start", container),
        lambda: answers(cassandra),
    )


def test_paused(serve: Callable[..., Service], on_cassandra: dict, cassandra: Settings, container: str) -> None:
    service = serve(**on_cassandra).ready()
    survives(
        service,
        lambda: docker("pause", container),
        lambda: docker("unpause", container),
        lambda: answers(cassandra),
    )


def test_one_key_many_at_once_on_a_paused_store(
    serve: Callable[..., Service], on_cassandra: dict, cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    docker("pause", container)
    try:
        with ThreadPoolExecutor(12) as pool:
            given = list(pool.map(lambda _: service.send(BAG.read_bytes(), **{"Idempotency-Key": "k"}), range(12)))
    finally:
        docker("unpause", container)
    assert {answer.status_code for answer in given} == {503}
    assert max(answer.elapsed.total_seconds() for answer in given) < 2
    until(lambda: answers(cassandra), 30)
    until(lambda: service.send(BAG.read_bytes(), **{"Idempotency-Key": "k"}).status_code in (200, 201), 10)


def test_write_timeout(serve: Callable[..., Service], on_cassandra: dict, container: str) -> None:
    service = serve(**on_cassandra).ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    docker("exec", container, "nodetool", "settimeout", "write", "0")
    try:
        refused(service)
        assert "WriteTimeout" in service.log.read_text() or "timed out waiting for replica" in service.log.read_text()
    finally:
        docker("exec", container, "nodetool", "settimeout", "write", "2000")
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def password_is(session: Session, role: str, password: str) -> bool:
    """Change a password; Cassandra refuses to do so again within five seconds."""
    try:
        session.execute(f"ALTER ROLE {role} WITH PASSWORD = '{password}'")
    except DRIVER_ERRORS:
        return False
    return True


def test_wrong_password(serve: Callable[..., Service], on_cassandra: dict, cassandra_session: Session) -> None:
    role = f"role_{uuid.uuid4().hex[:12]}"
    cassandra_session.execute(f"CREATE ROLE {role} WITH PASSWORD = 'right' AND LOGIN = true")
    cassandra_session.execute(f"GRANT ALL ON KEYSPACE {on_cassandra['cassandra_keyspace']} TO {role}")
    try:
        service = serve(**{**on_cassandra, "cassandra_username": role, "cassandra_password": "wrong"})
        service.until_alive()
        refused(service)
        state = requests.get(f"{service.url}/readyz", timeout=5)
        assert state.status_code == 503
        until(lambda: "credentials" in requests.get(f"{service.url}/readyz", timeout=5).json()["store"], 5)
        until(lambda: password_is(cassandra_session, role, "wrong"))
        until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)
        service.ready()
    finally:
        cassandra_session.execute(f"DROP ROLE {role}")


@contextmanager
def forwarder(host: str, port: int) -> Iterator[None]:
    """Cassandra under another address, as long as the context lasts."""
    listener = create_server((host, port))
    open_ends = []

    def copy(source: object, target: object) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass  # the other end is closed
        for end in (source, target):
            end.close()

    def run() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = create_connection(("127.0.0.1", CASSANDRA_PORT))
            open_ends.extend((near, far))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=copy, args=ends, daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        listener.shutdown(2)
        listener.close()
        for end in open_ends:
            try:
                end.shutdown(2)
            except OSError:
                continue  # closed already


def test_back_under_another_address(serve: Callable[..., Service], on_cassandra: dict, tmp_path: Path) -> None:
    """As a pod that moves: the name stays, its address changes, and the old address falls silent."""
    hosts = tmp_path / "hosts"
    # A mount of its own, so that a name can change its address for one process alone.
    alone = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts))
    hosts.write_text("127.0.0.2 cassandra.test\n")
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        lacking("changing a name's address needs the right to mount: run as root")
    port = free_port()
    with forwarder("127.0.0.2", port):
        service = serve(
            prefix=alone, **{**on_cassandra, "cassandra_contact_points": "cassandra.test", "cassandra_port": port}
        ).ready()
        assert service.send(BAG.read_bytes()).status_code == 201
    refused(service)
    with forwarder("127.0.0.3", port):
        hosts.write_text("127.0.0.3 cassandra.test\n")
        until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def test_livez_answers_while_a_hundred_wait_for_a_paused_store(
    serve: Callable[..., Service], on_cassandra: dict, cassandra: Settings, container: str
) -> None:
    service = serve(**on_cassandra).ready()
    docker("pause", container)
    try:
        with liveness(service) as taken, ThreadPoolExecutor(100) as pool:
            codes = list(pool.map(lambda _: service.send(BAG.read_bytes()).status_code, range(300)))
    finally:
        docker("unpause", container)
    assert set(codes) == {503}
    assert max(taken) < 0.1
    until(lambda: answers(cassandra), 30)
    until(lambda: service.send(BAG.read_bytes()).status_code == 201, 10)


def test_killed_workers_lose_nothing(serve: Callable[..., Service], on_cassandra: dict) -> None:
    kill_under_load(serve(workers=2, **on_cassandra).ready())


def test_one_key_twenty_at_once_is_one_record(serve: Callable[..., Service], on_cassandra: dict) -> None:
    one_key_at_once(serve(workers=2, **on_cassandra).ready())


def test_a_first_writer_killed_between_its_two_writes_changes_nothing(
    serve: Callable[..., Service], on_cassandra: dict, cassandra: Settings
) -> None:
    import hashlib

    store = CassandraStore(cassandra, lambda _: None)
    until(lambda: store.status().reached)
    id = id_maker()()
    store.claim("the-key", hashlib.sha256(BAG.read_bytes()).digest(), id)
    store.close()
    service = serve(workers=2, **on_cassandra).ready()
    one_key_at_once(service)
    assert service.all_ids() == {str(id)}
