"""The servers that are compared, each with one worker and the settings that its documentation recommends."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Sample
from benchmarks.peers import bodies
from benchmarks.server import free_port

ROOT = Path(__file__).parents[2]
KEYSPACE = "lookbook_bench_peers"
FLASK = "plain Flask"

_ADAPTERS = "benchmarks.peers.adapters"
ENVIRONMENTS = ROOT / ".venv-peers"
AGENT = ENVIRONMENTS / "agent"


@dataclass(frozen=True, slots=True)
class Start:
    """How a peer is started: its command, its variables, and the folder in which it runs."""

    command: Sequence[str]
    variables: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and how a client asks it; `prepare` gets a sample, a port, and an empty folder."""

    name: str
    prepare: Callable[[Sample, int, Path], Start]
    body: Callable[[Path], tuple[bytes, str]]
    path: str
    ready: str
    status: int = 200


def lookbook(store: str, thumbnails: bool) -> Peer:
    def prepare(sample: Sample, port: int, folder: Path) -> Start:
        variables = {
            "LOOKBOOK_BIND": f"127.0.0.1:{port}",
            "LOOKBOOK_WORKERS": "1",
            "LOOKBOOK_STORE": store,
            "LOOKBOOK_SQLITE_PATH": str(folder / "lookbook.sqlite"),
            "LOOKBOOK_CASSANDRA_KEYSPACE": KEYSPACE,
            "LOOKBOOK_MODEL": str(sample.model),
            "LOOKBOOK_THUMBNAILS": str(thumbnails).lower(),
        }
        return Start((sys.executable, "-m", "lookbook", "serve"), variables, ROOT)

    name = {"sqlite": "Lookbook, SQLite", "cassandra": "Lookbook, Cassandra"}[store]
    name = f"{name}, thumbnails" if thumbnails else name
    return Peer(name, prepare, bodies.multipart, "/v1/predictions", "/readyz", status=201)


def others() -> list[Peer]:
    """Plain Flask, and every other peer that has an environment."""
    return [peer for environment, peer in _OTHERS.items() if (ENVIRONMENTS / environment / "bin").is_dir()]


def payload_logger(component: int, sink: int) -> Peer:
    """KServe's agent, which passes requests on to one port, and posts them and the responses to the other."""

    def prepare(_: Sample, port: int, __: Path) -> Start:
        # What KServe passes to the agent in a pod.
        probe = {"tcpSocket": {"host": "127.0.0.1", "port": component}, "successThreshold": 1}
        ports = ["--port", str(port), "--component-port", str(component)]
        sent = ["--log-url", f"http://127.0.0.1:{sink}", "--log-mode", "all"]
        names = ["--inference-service", "model", "--namespace", "default", "--component", "predictor"]
        return Start((str(AGENT), *ports, *sent, *names), {"SERVING_READINESS_PROBE": json.dumps(probe)}, ROOT)

    return dataclasses.replace(KSERVE, name="KServe's agent", prepare=prepare)


def _flask(sample: Sample, port: int, _: Path) -> Start:
    return _gunicorn("flask", sample, port)


def _tensorflow(sample: Sample, port: int, _: Path) -> Start:
    return _gunicorn("tensorflow", sample, port)


def _gunicorn(environment: str, sample: Sample, port: int) -> Start:
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", "1"]
    options = ["--worker-class", "gthread", "--threads", "4"]
    return _start(environment, "gunicorn", [*bind, *options, f"{_ADAPTERS}.flask_app:app"], sample)


def _kserve(sample: Sample, port: int, _: Path) -> Start:
    options = ["--http_port", str(port), "--workers", "1", "--enable_grpc", "false"]
    return _start("kserve", "python", ["-m", f"{_ADAPTERS}.kserve_app", *options], sample)


def _mlserver(sample: Sample, port: int, folder: Path) -> Start:
    runtime = {"name": "model", "implementation": f"{_ADAPTERS}.mlserver_app.Runtime"}
    (folder / "model-settings.json").write_text(json.dumps(runtime))
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(
        json.dumps({"debug": False, "host": "127.0.0.1", "metrics_dir": str(folder), **ports})
    )
    return _start("mlserver", "mlserver", ["start", str(folder)], sample)


def _litserve(sample: Sample, port: int, _: Path) -> Start:
    return _start("litserve", "python", ["-m", f"{_ADAPTERS}.litserve_app"], sample, PORT=str(port))


def _bentoml(sample: Sample, port: int, folder: Path) -> Start:
    options = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT)]
    variables = {"BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    return _start("bentoml", "bentoml", ["serve", f"{_ADAPTERS}.bentoml_app:Service", *options], sample, **variables)


def _ray(sample: Sample, port: int, _: Path) -> Start:
    variables = {"PORT": str(port), "RAY_USAGE_STATS_ENABLED": "0"}
    return _start("ray", "python", ["-m", f"{_ADAPTERS}.ray_app"], sample, **variables)


def _start(environment: str, program: str, arguments: Sequence[str], sample: Sample, **variables: str) -> Start:
    command = (str(ENVIRONMENTS / environment / "bin" / program), *arguments)
    return Start(command, {"MODEL": str(sample.model), "PYTHONPATH": str(ROOT), **variables}, ROOT)


KSERVE = Peer("KServe", _kserve, bodies.v1, "/v1/models/model:predict", "/v2/health/ready")
_OTHERS = {
    "flask": Peer(FLASK, _flask, bodies.multipart, "/predict", "/ready"),
    "kserve": KSERVE,
    "mlserver": Peer("MLServer", _mlserver, bodies.v2, "/v2/models/model/infer", "/v2/models/model/ready"),
    "litserve": Peer("LitServe", _litserve, bodies.multipart, "/predict", "/health"),
    "bentoml": Peer("BentoML", _bentoml, bodies.multipart, "/predict", "/readyz"),
    "tensorflow": Peer("Flask, TensorFlow", _tensorflow, bodies.multipart, "/predict", "/ready"),
    "ray": Peer("Ray Serve", _ray, bodies.raw, "/", "/-/healthz"),
}
