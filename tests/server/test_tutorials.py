"""The pages of docs/: their commands are run, and their tables lack nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import prometheus_client
import pytest
import requests
import yaml
from cassandra.cluster import Session
from lookbook.model.bundle import read_bundle
from lookbook.settings import Settings
from lookbook.telemetry import metrics

from tests.support.chart import CHART, render
from tests.support.pages import block, checkout, follow
from tests.support.places import CONTAINER, MLP, PHOTOS, ROOT
from tests.support.running import Service, free_port, until

DOCS = ROOT / "docs"
PICTURES = [*sorted(PHOTOS.glob("*.jpg"))[:4], *sorted((MLP / "golden").glob("*.png"))]


def on_a_free_port() -> tuple[dict[str, str], dict[str, str]]:
    """What replaces the pages' port, and the settings that go with it."""
    port = str(free_port())
    return {"8080": port}, {"LOOKBOOK_BIND": f"127.0.0.1:{port}", "LOOKBOOK_WORKERS": "1"}


def test_on_one_machine(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    port, settings = on_a_free_port()
    follow(DOCS / "tutorials/one-machine.md", folder=folder, replaced={"0.0.0.0": "127.0.0.1", **port}, **settings)
    assert (folder / "answers.sqlite").exists()


def test_your_own_model_on_one_machine(tmp_path: Path) -> None:
    port, settings = on_a_free_port()
    page = DOCS / "tutorials/own-model.md"
    follow(page, "serve", "ask", "picture", folder=checkout(tmp_path), replaced=port, **settings)


def records(service: Service) -> dict[str, tuple[bytes, bytes]]:
    """Each stored record and its thumbnail, by id."""
    paths = {id: f"{service.url}/v1/predictions/{id}" for id in service.all_ids()}
    return {id: (_body(path), _body(f"{path}/thumbnail")) for id, path in paths.items()}


def _body(url: str) -> bytes:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_backup_and_restore_of_sqlite(tmp_path: Path, serve: Callable[..., Service]) -> None:
    folder = checkout(tmp_path / "checkout")
    settings = {"sqlite_path": folder / "lookbook.sqlite"}
    service = serve(**settings).ready()
    for picture in PICTURES:
        service.send(picture.read_bytes())
    kept = records(service)
    assert len(kept) == len(PICTURES)
    follow(DOCS / "how-to/backup.md", "sqlite-backup", folder=folder)
    service.send(PICTURES[0].read_bytes())
    os.killpg(service.process.pid, signal.SIGKILL)  # so that it leaves a -wal, which must not get into the copy
    service.process.wait()
    assert (folder / "lookbook.sqlite-wal").stat().st_size
    follow(DOCS / "how-to/backup.md", "sqlite-restore", folder=folder)
    assert records(serve(**settings).ready()) == kept


def options(settings: Settings, **changed: object) -> dict[str, object]:
    """Those on Cassandra, as the environment has them."""
    names = ("store", "cassandra_port", "cassandra_username", "cassandra_password", "cassandra_keyspace")
    return {**{name: getattr(settings, name) for name in names}, **changed}


@pytest.mark.cassandra
def test_backup_and_restore_of_cassandra(
    tmp_path: Path, serve: Callable[..., Service], cassandra: Settings, cassandra_session: Session
) -> None:
    names = {"keyspace=lookbook": f"keyspace={cassandra.cassandra_keyspace}", "lookbook-cassandra": CONTAINER}
    service = serve(**options(cassandra)).ready()
    for picture in PICTURES:
        service.send(picture.read_bytes(), **{"Idempotency-Key": picture.name})
    kept = records(service)
    assert len(kept) == len(PICTURES)
    follow(DOCS / "how-to/backup.md", "docker", "cassandra-backup", folder=tmp_path, replaced=names)
    service.stop()
    for table in ("predictions", "buckets", "thumbnails", "idempotency_keys"):
        cassandra_session.execute(f"TRUNCATE {cassandra.cassandra_keyspace}.{table}", timeout=60)
    service = serve(**options(cassandra)).ready()
    since = service.send(PICTURES[0].read_bytes()).json()["id"]
    assert service.all_ids() == {since}
    follow(DOCS / "how-to/backup.md", "docker", "cassandra-restore", folder=tmp_path, replaced=names)
    found = records(service)
    assert found.keys() == kept.keys() | {since}
    assert {id: found[id] for id in kept} == kept
    again = service.send(PICTURES[0].read_bytes(), **{"Idempotency-Key": PICTURES[0].name})
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.fixture
def role(cassandra_session: Session, cassandra: Settings) -> Iterator[str]:
    """The service's role in a ring, with the password `old`."""
    name = f"test_{uuid4().hex[:12]}"
    cassandra_session.execute(f"CREATE ROLE {name} WITH PASSWORD = 'old' AND LOGIN = true", timeout=30)
    cassandra_session.execute(f"GRANT ALL ON KEYSPACE {cassandra.cassandra_keyspace} TO {name}", timeout=30)
    # Cassandra changes a password once in five seconds at most.
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
    before.send(PICTURES[0].read_bytes())
    follow(
        DOCS / "how-to/passwords.md",
        "ring",
        folder=tmp_path,
        replaced={"lookbook_service": role, "lookbook-cassandra": CONTAINER},
    )
    assert before.send(PICTURES[0].read_bytes()).status_code == 201
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

    follow(DOCS / "how-to/passwords.md", "token-new", folder=tmp_path)
    until(lambda: codes() == [200, 200])
    follow(DOCS / "how-to/passwords.md", "token-old", folder=tmp_path)
    until(lambda: codes() == [401, 200])


@pytest.fixture
def suffix(cassandra_session: Session) -> Iterator[str]:
    """Of a keyspace and two roles that the test makes."""
    suffix = uuid4().hex[:12]
    yield suffix
    for made in ("KEYSPACE IF EXISTS lookbook", "ROLE IF EXISTS lookbook_admin", "ROLE IF EXISTS lookbook_service"):
        cassandra_session.execute(f"DROP {made}_{suffix}", timeout=60)


@pytest.mark.cassandra
def test_the_roles_of_a_real_cluster_have_rights_enough(
    serve: Callable[..., Service], cassandra: Settings, cassandra_session: Session, suffix: str
) -> None:
    cql = block(DOCS / "how-to/cluster.md", "cql").replace("'dc1': 3", "'datacenter1': 1")
    for statement in re.sub(r"lookbook(_admin|_service)?\b", rf"\g<0>_{suffix}", cql).split(";")[:-1]:
        cassandra_session.execute(statement, timeout=60)
    login = options(cassandra, cassandra_keyspace=f"lookbook_{suffix}")
    admin = {**login, "cassandra_username": f"lookbook_admin_{suffix}", "cassandra_password": "one"}
    environment = {f"LOOKBOOK_{name.upper()}": str(value) for name, value in admin.items()}
    for retention in ("0", "86400"):
        command = [sys.executable, "-m", "lookbook", "schema"]
        settings = {**environment, "LOOKBOOK_RETENTION": retention}
        made = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=150)
        assert made.returncode == 0, made.stderr
    service = serve(
        **{**login, "cassandra_username": f"lookbook_service_{suffix}", "cassandra_password": "two"}
    ).ready()
    id = service.send(PICTURES[0].read_bytes(), **{"Idempotency-Key": "one"}).json()["id"]
    assert service.all_ids() == {id}
    assert requests.delete(f"{service.url}/v1/predictions/{id}", timeout=10).status_code == 204


def test_the_values_of_a_real_cluster_render(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block(DOCS / "how-to/cluster.md", "yaml"))
    kinds = {item["kind"] for item in render("--values", values)}
    assert {"Ingress", "ServiceMonitor", "PrometheusRule"} < kinds
    assert "StatefulSet" not in kinds


def first_column(heading: str) -> list[str]:
    """Of the table under a heading of docs/how-to/monitoring.md."""
    section = (DOCS / "how-to/monitoring.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)`", section, re.MULTILINE)


def test_every_metric_is_explained() -> None:
    kinds = (prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)
    ours = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for value in vars(metrics).values()
        if isinstance(value, kinds)
        for metric in value.describe()
    }
    assert sorted(first_column("Metrics")) == sorted(ours)


def test_every_alert_is_explained() -> None:
    alerts = yaml.safe_load((CHART / "files/alerts.yaml").read_text())
    assert first_column("Alerts") == [alert["alert"] for alert in alerts]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_digest_of_a_published_model_is_the_bundles() -> None:
    assert f"--set model.digest={read_bundle(MLP).digest} " in (DOCS / "tutorials/own-model.md").read_text()
