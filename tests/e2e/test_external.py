"""docs/how-to/cluster.md: your own Cassandra with TLS, a shared models volume, and tokens."""

import base64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.cluster import URL, Cluster, run
from tests.support.pages import block
from tests.support.places import PHOTOS, ROOT
from tests.support.running import ENCRYPTED, until

PAGE = ROOT / "docs/how-to/cluster.md"
QUICK = (
    "-Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0"
)
RING = {
    "metadata": {"name": "ring"},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "cassandra",
                "image": "cassandra:5.0.8",
                "command": ["sh", "-c"],
                "args": [
                    "sed -i 's/AllowAllAuthenticator/PasswordAuthenticator/; s/AllowAllAuthorizer/CassandraAuthorizer/'"
                    f" /etc/cassandra/cassandra.yaml\n{ENCRYPTED}"
                ],
                "env": [
                    {"name": "CASSANDRA_DC", "value": "dc1"},
                    {"name": "CASSANDRA_ENDPOINT_SNITCH", "value": "GossipingPropertyFileSnitch"},
                    {"name": "MAX_HEAP_SIZE", "value": "256M"},
                    {"name": "JVM_EXTRA_OPTS", "value": QUICK},
                ],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def ring(cluster: Cluster) -> str:
    """The address of a node that accepts only TLS, with the keyspace and roles from the page, but one copy."""
    cluster.core.create_namespaced_pod(cluster.namespace, RING)

    def cql(statements: str, ok: bool = True) -> str:
        login = ("env", "HOME=/tmp", "SSL_VALIDATE=false", "cqlsh", "--ssl", "-u", "cassandra", "-p", "cassandra")
        return cluster.kubectl("exec", "ring", "--", *login, "-e", statements, ok=ok)

    until(lambda: "datacenters" in cql("LIST ROLES", ok=False), 180)
    cql(block(PAGE, "cql").replace("'dc1': 3", "'dc1': 1").strip())
    return str(cluster.core.read_namespaced_pod("ring", cluster.namespace).status.pod_ip)


@pytest.fixture(scope="module")
def page_values(ring: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The values from the page, without what kind does not have."""
    text = block(PAGE, "yaml")
    for old, new in {
        "imageRegistry: registry.example": 'imageRegistry: ""',
        "cassandra-1.example,cassandra-2.example": ring,
        "replication: 3": "replication: 1",
        "serviceMonitor: true": "serviceMonitor: false",
        "alerts: true": "alerts: false",
    }.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(text)
    return path


def test_your_own_ring_and_models(
    cluster: Cluster, upgrade: Callable[..., str], walk: Callable[..., str], page_values: Path, tmp_path: Path
) -> None:
    files = {"ca.crt": cluster.kubectl("exec", "ring", "--", "cat", "/tmp/ca.crt")}
    made = {name: tmp_path / name for name in ("tls.crt", "tls.key")}
    subject = ("-nodes", "-subj", "/CN=lookbook.example")
    run("openssl", "req", "-x509", *subject, "-out", made["tls.crt"], "-keyout", made["tls.key"])
    walk("how-to/cluster.md", "secrets", files=files | {name: path.read_text() for name, path in made.items()})
    tokens = cluster.core.read_namespaced_secret("lookbook-tokens", cluster.namespace).data["tokens"]
    with cluster.shared_models("models"):
        upgrade("--values", page_values)
        assert not cluster.pods("cassandra") + cluster.pods("models")
        with requests.Session() as client, (PHOTOS / "shirt.jpg").open("rb") as image:
            assert client.get(f"{URL}/v1/predictions", timeout=10).status_code == 401
            client.headers["Authorization"] = f"Bearer {base64.b64decode(tokens).decode()}"
            response = client.post(f"{URL}/v1/predictions", files={"image": image}, timeout=10)
            assert response.json()["label"] == "Shirt"
            stored = client.get(urljoin(response.url, response.headers["Location"]), timeout=10)
            assert stored.json() == response.json()
