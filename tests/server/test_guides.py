"""The commands of the how-to guides, run exactly as written."""

import getpass
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urljoin
from uuid import uuid4

import pytest
import requests
from cassandra.cluster import Session
from lookbook.settings import Settings

from tests.support.chart import render
from tests.support.pages import DOCS, block, checkout, follow, on_a_free_port
from tests.support.places import CLOTHES, CONTAINER, MLP, PHOTOS, ROOT
from tests.support.requirements import lacking
from tests.support.running import Service, free_port, until

CLIENTS = ROOT / ".venv-clients/bin/python"
IMAGES = [*sorted(PHOTOS.glob("*.jpg"))[:4], *sorted((MLP / "golden").glob("*.png"))]


def stored(service: Service) -> dict[str, tuple[bytes, bytes]]:
    """Each stored prediction and its thumbnail, by id."""
    paths = {id: f"{service.url}/v1/predictions/{id}" for id in service.all_ids()}
    return {id: (_body(path), _body(f"{path}/thumbnail")) for id, path in paths.items()}


def _body(url: str) -> bytes:
    response = requests.get(url, timeout=10)
    assert response.status_code == 200, response.text
    return response.content


def test_backup_and_restore_of_sqlite(tmp_path: Path, serve: Callable[..., Service]) -> None:
    folder = checkout(tmp_path / "checkout")
    settings = {"sqlite_path": folder / "lookbook.sqlite"}
    service = serve(**settings).ready()
    for image in IMAGES:
        service.send(image.read_bytes())
    kept = stored(service)
    assert len(kept) == len(IMAGES)
    follow(DOCS / "how-to/backup.md", "backup", folder=folder)
    service.stop()
    for path in folder.glob("lookbook.sqlite*"):
        path.unlink()
    service = serve(**settings).ready()
    since = service.send(IMAGES[0].read_bytes()).json()["id"]
    follow(DOCS / "how-to/backup.md", "restore", folder=folder)
    found = stored(service)
    assert found.keys() == kept.keys() | {since}
    assert {id: found[id] for id in kept} == kept


def options(settings: Settings, **changed: object) -> dict[str, object]:
    """The settings for Cassandra, as the environment has them."""
    names = ("store", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    return {**{name: getattr(settings, name) for name in names}, **changed}


@pytest.mark.cassandra
def test_backup_and_restore_of_cassandra(
    tmp_path: Path, serve: Callable[..., Service], cassandra: Settings, cassandra_session: Session
) -> None:
    names = {"keyspace=lookbook": f"keyspace={cassandra.cassandra_keyspace}", "lookbook-cassandra": CONTAINER}
    service = serve(**options(cassandra)).ready()
    for image in IMAGES:
        service.send(image.read_bytes(), **{"Idempotency-Key": image.name})
    kept = stored(service)
    assert len(kept) == len(IMAGES)
    follow(DOCS / "how-to/backup.md", "docker", "cassandra-backup", folder=tmp_path, replaced=names)
    service.stop()
    for table in ("predictions", "buckets", "thumbnails", "idempotency_keys"):
        cassandra_session.execute(f"TRUNCATE {cassandra.cassandra_keyspace}.{table}", timeout=60)
    service = serve(**options(cassandra)).ready()
    since = service.send(IMAGES[0].read_bytes()).json()["id"]
    assert service.all_ids() == {since}
    rows = cassandra_session.execute(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", [cassandra.cassandra_keyspace]
    )
    page = (DOCS / "how-to/backup.md").read_text()
    named = page.split("for table in ")[1].split("; do")[0].replace("\\", "").split()
    assert set(named) == {row[0] for row in rows} - {"review_claims"}
    follow(DOCS / "how-to/backup.md", "docker", "cassandra-restore", folder=tmp_path, replaced=names)
    found = stored(service)
    assert found.keys() == kept.keys() | {since}
    assert {id: found[id] for id in kept} == kept
    again = service.send(IMAGES[0].read_bytes(), **{"Idempotency-Key": IMAGES[0].name})
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.fixture
def role(cassandra_session: Session, cassandra: Settings) -> Iterator[str]:
    """A role for the service, with the password `old`."""
    name = f"test_{uuid4().hex[:12]}"
    cassandra_session.execute(f"CREATE ROLE {name} WITH PASSWORD = 'old' AND LOGIN = true", timeout=30)
    cassandra_session.execute(f"GRANT ALL ON KEYSPACE {cassandra.cassandra_keyspace} TO {name}", timeout=30)
    # Cassandra changes a password at most once in five seconds.
    changeable = time.monotonic() + 5
    until(lambda: time.monotonic() > changeable)
    yield name
    cassandra_session.execute(f"DROP ROLE {name}", timeout=30)


@pytest.mark.cassandra
def test_a_password_changed_in_a_ring_of_your_own(
    tmp_path: Path, serve: Callable[..., Service], cassandra: Settings, role: str
) -> None:
    login = options(cassandra, cassandra_username=role, cassandra_password="old")
    file = tmp_path / "lookbook.env"
    file.write_text("".join(f"LOOKBOOK_{name.upper()}={value}\n" for name, value in login.items()))
    before = serve(**login).ready()
    before.send(IMAGES[0].read_bytes())
    follow(
        DOCS / "how-to/passwords.md",
        "ring",
        folder=tmp_path,
        replaced={"lookbook_service": role, "lookbook-cassandra": CONTAINER},
    )
    assert before.send(IMAGES[0].read_bytes()).status_code == 201
    changed = dict(line.removeprefix("LOOKBOOK_").lower().split("=") for line in file.read_text().split())
    assert changed["cassandra_password"] != "old"
    assert serve(**changed).ready().all_ids() == before.all_ids()


def test_a_bearer_token_changed(tmp_path: Path, serve: Callable[..., Service]) -> None:
    file = tmp_path / "tokens.txt"
    file.write_text("old\n")
    service = serve(tokens_file=file).ready()

    def codes() -> list[int]:
        tokens = ["old", file.read_text().split()[-1]]
        return [
            requests.get(
                f"{service.url}/v1/model", headers={"Authorization": f"Bearer {token}"}, timeout=10
            ).status_code
            for token in tokens
        ]

    follow(DOCS / "how-to/tokens.md", "token-new", folder=tmp_path)
    until(lambda: codes() == [200, 200])
    follow(DOCS / "how-to/tokens.md", "token-old", folder=tmp_path)
    until(lambda: codes() == [401, 200])


@pytest.fixture
def suffix(cassandra_session: Session) -> Iterator[str]:
    """The suffix of a keyspace and two roles that the test makes."""
    suffix = uuid4().hex[:12]
    yield suffix
    for made in ("KEYSPACE IF EXISTS lookbook", "ROLE IF EXISTS lookbook_admin", "ROLE IF EXISTS lookbook_service"):
        cassandra_session.execute(f"DROP {made}_{suffix}", timeout=60)


@pytest.mark.cassandra
def test_the_roles_of_a_real_cluster_have_enough_rights(
    serve: Callable[..., Service], cassandra: Settings, cassandra_session: Session, suffix: str
) -> None:
    cql = block(DOCS / "how-to/cluster.md", "cql").replace("'dc1': 3", "'datacenter1': 1")
    for statement in re.sub(r"lookbook(_admin|_service)?\b", rf"\g<0>_{suffix}", cql).split(";")[:-1]:
        cassandra_session.execute(statement, timeout=60)
    login = options(cassandra, cassandra_keyspace=f"lookbook_{suffix}")
    admin = {**login, "cassandra_username": f"lookbook_admin_{suffix}", "cassandra_password": "one"}
    for retention in ("0", "86400"):
        command = [sys.executable, "-m", "lookbook", "schema"]
        settings = {**environment(admin), "LOOKBOOK_RETENTION": retention}
        made = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=150)
        assert made.returncode == 0, made.stderr
    service = serve(
        **{**login, "cassandra_username": f"lookbook_service_{suffix}", "cassandra_password": "two"}
    ).ready()
    id = service.send(IMAGES[0].read_bytes(), **{"Idempotency-Key": "one"}).json()["id"]
    assert service.all_ids() == {id}
    assert requests.delete(f"{service.url}/v1/predictions/{id}", timeout=10).status_code == 204


def test_the_values_of_a_real_cluster_render(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block(DOCS / "how-to/cluster.md", "yaml"))
    kinds = {item["kind"] for item in render("--values", values)}
    assert {"Ingress", "ServiceMonitor", "PrometheusRule"} < kinds
    assert "StatefulSet" not in kinds


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"LOOKBOOK_{name.upper()}": str(value) for name, value in settings.items()}


@pytest.mark.cassandra
def test_tables_and_a_server_on_your_own_cassandra(tmp_path: Path, cassandra: Settings) -> None:
    port, settings = on_a_free_port()
    ours = {"cassandra.example": "127.0.0.1", "keyspace lookbook": f"keyspace {cassandra.cassandra_keyspace}"}
    follow(
        DOCS / "how-to/cassandra.md",
        "settings",
        "schema",
        "serve",
        folder=checkout(tmp_path),
        replaced={**port, **ours},
        environment={**settings, **environment(options(cassandra))},
    )


@pytest.mark.cassandra
def test_tables_before_an_upgrade(tmp_path: Path, cassandra: Settings) -> None:
    login = environment(options(cassandra))
    printed = follow(DOCS / "how-to/upgrade.md", "schema", folder=checkout(tmp_path), environment=login)
    assert printed == f"schema: keyspace {cassandra.cassandra_keyspace} is up to date\n"


def test_another_model_on_one_machine(tmp_path: Path) -> None:
    port, settings = on_a_free_port()
    page = DOCS / "how-to/models.md"
    follow(page, "serve", "ask", folder=checkout(tmp_path), replaced=port, environment=settings)


def test_an_upgrade_on_one_machine(tmp_path: Path) -> None:
    _, settings = on_a_free_port()
    folder = checkout(tmp_path)
    follow(
        DOCS / "how-to/upgrade.md", "machine", folder=folder, replaced={"make run": "make run &"}, environment=settings
    )


def test_tokens(tmp_path: Path) -> None:
    port, settings = on_a_free_port()
    follow(DOCS / "how-to/tokens.md", "create", "use", folder=checkout(tmp_path), replaced=port, environment=settings)


def test_the_command_line(tmp_path: Path, serve: Callable[..., Service]) -> None:
    service = serve(model=CLOTHES).ready()
    folder = checkout(tmp_path / "checkout")
    page = DOCS / "how-to/command-line.md"
    printed = follow(page, "local", "server", folder=folder, replaced={"http://127.0.0.1:8080": service.url})
    assert len((folder / "predictions.jsonl").read_text().splitlines()) == len(service.all_ids()) == 12
    assert re.search(r"^id,created_at,file_name,label.*\n.*dress.jpg,Dress,", printed, re.MULTILINE)


def test_export(tmp_path: Path, serve: Callable[..., Service]) -> None:
    folder = checkout(tmp_path / "checkout")
    service = serve(sqlite_path=folder / "lookbook.sqlite").ready()
    for image in IMAGES[-2:]:
        service.send(image.read_bytes())
    printed = follow(DOCS / "how-to/export.md", "export", "import", "images", folder=folder)
    assert printed.splitlines() == [*["predictions.parquet: 2 predictions"] * 2, "judged: 0 images"]
    assert serve(sqlite_path=folder / "copy.sqlite").ready().all_ids() == service.all_ids()


def test_judging_with_another_tool(tmp_path: Path, serve: Callable[..., Service]) -> None:
    service, folder = serve(model=CLOTHES).ready(), checkout(tmp_path / "checkout")
    for image in PHOTOS.glob("*.jpg"):
        service.send(image.read_bytes())
    where = {"LOOKBOOK_URL": service.url}
    follow(DOCS / "how-to/review.md", "export", folder=folder, environment=where)
    assert len(list((folder / "to-judge").glob("*.png"))) == 12
    lines = (folder / "to-judge.csv").read_text().splitlines()
    (folder / "to-judge.csv").write_text(
        "\n".join([lines[0], *(f"{line.removesuffix(',,')},Hat," for line in lines[1:])])
    )
    printed = follow(DOCS / "how-to/review.md", "import", "evaluate", folder=folder, environment=where)
    assert "to-judge.csv: judgments: 12" in printed
    assert "accuracy     8.3% (" in printed


def test_comparing_models(tmp_path: Path, serve: Callable[..., Service]) -> None:
    service, folder = serve(model=CLOTHES).ready(), checkout(tmp_path / "checkout")
    for image in PHOTOS.glob("*.jpg"):
        service.send(image.read_bytes())
    page = DOCS / "how-to/compare-models.md"
    printed = follow(page, "replay", "gate", folder=folder, environment={"LOOKBOOK_URL": service.url})
    assert f"review       {service.url}/#review?compare=" in printed
    assert "<figure>" in (folder / "report.html").read_text()
    assert '"flips_to_judge": 0' in (folder / "comparison.json").read_text()


def test_completion(tmp_path: Path) -> None:
    follow(
        DOCS / "how-to/command-line.md",
        "completion",
        folder=checkout(tmp_path),
        environment={"PATH": f"{tmp_path}/.venv/bin:{os.environ['PATH']}"},
    )


def test_inference_with_curl(tmp_path: Path, serve: Callable[..., Service]) -> None:
    replaced = {"http://127.0.0.1:8080": serve(model=CLOTHES).ready().url}
    follow(DOCS / "how-to/inference-clients.md", "curl", folder=checkout(tmp_path), replaced=replaced)


@pytest.mark.parametrize("client", ["triton", "kserve"])
def test_inference_with_a_public_client(serve: Callable[..., Service], client: str) -> None:
    if not CLIENTS.exists():
        lacking("no .venv-clients: make it with `make clients`", "CLIENTS")
    service = serve(model=CLOTHES).ready()
    script = block(DOCS / "how-to/inference-clients.md", f"python {client}")
    assert "127.0.0.1:8080" in script
    script = script.replace("127.0.0.1:8080", f"127.0.0.1:{service.port}")
    run = subprocess.run([CLIENTS, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "Hat" in run.stdout


class Collector(ThreadingHTTPServer):
    """Accepts spans and counts them."""

    received = 0


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.received += self.path == "/v1/traces"
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()


def test_traces(tmp_path: Path) -> None:
    port, settings = on_a_free_port()
    with Collector(("127.0.0.1", 0), Handler) as collector:
        Thread(target=collector.serve_forever).start()
        replaced = {**port, ":4318": f":{collector.server_port}"}
        follow(DOCS / "how-to/traces.md", "send", folder=checkout(tmp_path), replaced=replaced, environment=settings)
        until(lambda: collector.received)
        collector.shutdown()


@pytest.fixture
def proxy(tmp_path: Path, serve: Callable[..., Service]) -> Iterator[str]:
    """The host and port of an nginx with the page's server block, and a certificate in tls.crt."""
    if not shutil.which("nginx"):
        lacking("no nginx on the PATH", "NGINX")
    service, port = serve(model=CLOTHES).ready(), free_port()
    certificate = "openssl req -x509 -nodes -subj /CN=proxy -addext subjectAltName=IP:127.0.0.1 -out tls.crt"
    subprocess.run([*certificate.split(), "-keyout", "tls.key"], cwd=tmp_path, check=True, capture_output=True)
    server = block(DOCS / "how-to/proxy.md", "nginx")
    for old, new in {"443": f"127.0.0.1:{port}", "/etc/nginx/": f"{tmp_path}/", "8080": str(service.port)}.items():
        assert old in server
        server = server.replace(old, new)
    own = "".join(f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"user {getpass.getuser()}; pid {tmp_path}/pid; events {{}} http {{ access_log off; {own}\n{server} }}"
    )
    command = ["nginx", "-p", ".", "-e", "nginx.log", "-c", config.name, "-g", "daemon off;"]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        until(lambda: process.poll() is not None or (tmp_path / "pid").exists())
        yield f"127.0.0.1:{port}"
        process.terminate()


def listed(client: requests.Session, url: str) -> list[dict[str, str]]:
    """Every task, by the links to the next page."""
    found: list[dict[str, str]] = []
    while url:
        page = client.get(url, timeout=10)
        assert page.status_code == 200
        found += page.json()
        url = urljoin(page.url, page.links["next"]["url"]) if "next" in page.links else ""
    return found


def test_behind_a_proxy(tmp_path: Path, proxy: str) -> None:
    page, certificate = DOCS / "how-to/proxy.md", str(tmp_path / "tls.crt")
    printed = follow(
        page,
        "try",
        folder=checkout(tmp_path / "checkout"),
        replaced={"lookbook.example": proxy},
        environment={"CURL_CA_BUNDLE": certificate, "REQUESTS_CA_BUNDLE": certificate},
    )
    assert re.fullmatch(r"Shirt.*shirt\.jpg\n", printed, re.DOTALL)
    with requests.Session() as client:
        client.verify, client.trust_env = certificate, False
        url = f"https://{proxy}/lookbook/"
        sent = client.post(f"{url}v1/predictions", files={"image": IMAGES[0].read_bytes()}, timeout=10)
        found = client.get(urljoin(sent.url, sent.headers["Location"]), timeout=10)
        assert (sent.status_code, found.json()) == (201, sent.json())
        assert [task["id"] for task in listed(client, f"{url}api/tasks?limit=1")][:1] == [sent.json()["id"]]
        links = re.findall(r'(?:href|src)="([^"#]+)"', client.get(url, timeout=10).text)
        assert len(links) > 5
        assert {client.get(urljoin(url, link), timeout=10).status_code for link in links} == {200}
        assert client.get(f"{url}metrics", timeout=10).status_code == 404
