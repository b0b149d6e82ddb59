import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from lookbook.telemetry.tracing import next_trace, read_trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.places import BAG
from tests.support.running import Service, free_port, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (GIVEN, True),
        (f"00-{TRACE}-{PARENT}-00", False),
        (f"00-{TRACE}-{PARENT}-03", True),
        (f"cc-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-added-in-a-later-version", True),
    ],
)
def test_a_traceparent_header_is_read(header: str, sampled: bool) -> None:
    trace = read_trace(header)
    assert trace
    assert (trace.trace_id, trace.span_id, trace.sampled) == (TRACE, PARENT, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f" {GIVEN}",
        f"{GIVEN}\n",
        f"{GIVEN},{GIVEN}",
        f"0x-{TRACE}-{PARENT}-01",
    ],
)
def test_an_invalid_header_is_ignored(header: str | None) -> None:
    assert read_trace(header) is None


def test_a_new_trace_is_valid_and_not_sampled() -> None:
    trace = next_trace(None)
    assert read_trace(trace.header) == trace
    assert trace.header.endswith("-00")
    assert trace != next_trace(None)


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/model"), ("GET", "/livez"), ("GET", "/no"), ("PUT", "/v2")])
def test_a_response_names_a_span_of_the_clients_trace(client: FlaskClient, method: str, path: str) -> None:
    found = read_trace(client.open(path, method=method, headers={"traceparent": GIVEN}).headers["traceparent"])
    assert found
    assert (found.trace_id, found.sampled) == (TRACE, True)
    assert found.span_id != PARENT


def test_an_invalid_trace_is_replaced(client: FlaskClient) -> None:
    found = read_trace(client.get("/v1/model", headers={"traceparent": f"00-{TRACE}"}).headers["traceparent"])
    assert found
    assert found.trace_id != TRACE


def test_a_log_line_names_the_trace(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    header = service.send(BAG.read_bytes(), traceparent=GIVEN).headers["traceparent"]
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["message"] == "request"]
    assert header == f"00-{line['trace_id']}-{line['span_id']}-01"
    assert line["trace_id"] == TRACE
    assert not [line for line in lines if line["message"] != "request" and "trace_id" in line]


class Collector(ThreadingHTTPServer):
    """Receives spans over OTLP/HTTP, as an OpenTelemetry collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[ExportTraceServiceRequest] = []

    def spans(self) -> dict[str, list[Span]]:
        """The spans received so far, by name."""
        found: dict[str, list[Span]] = {}
        for resource in [resource for request in self.requests for resource in request.resource_spans]:
            assert value(resource.resource, "service.name") == "lookbook"
            for span in [span for scope in resource.scope_spans for span in scope.spans]:
                found.setdefault(span.name, []).append(span)
        return found


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        assert self.headers["Content-Type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def value(holder: Any, key: str) -> object:
    """An attribute of a span or a resource."""
    (found,) = [entry.value for entry in holder.attributes if entry.key == key]
    return getattr(found, found.WhichOneof("value"))


def test_spans_are_sent_to_the_collector(serve: Callable[..., Service], collector: Collector) -> None:
    service = serve(otlp_endpoint=collector.url).ready()
    header = service.send(BAG.read_bytes(), traceparent=GIVEN).headers["traceparent"]
    assert service.send(b"not an image").status_code == 415
    other = requests.get(f"{service.url}/v1/model", timeout=5).headers["traceparent"]
    assert service.stop() == 0
    found = collector.spans()
    assert set(found) == {"POST /v1/predictions", "GET /v1/model", "decode", "inference", "store"}
    accepted, refused = found["POST /v1/predictions"]
    assert header == f"00-{accepted.trace_id.hex()}-{accepted.span_id.hex()}-01"
    assert (accepted.trace_id.hex(), accepted.parent_span_id.hex()) == (TRACE, PARENT)
    assert accepted.kind == Span.SPAN_KIND_SERVER
    assert [value(accepted, f"http.{key}") for key in ("request.method", "route", "response.status_code")] == [
        "POST",
        "/v1/predictions",
        201,
    ]
    assert value(refused, "http.response.status_code") == 415
    for name in ("decode", "inference", "store"):
        part = found[name][0]
        assert (part.trace_id, part.parent_span_id) == (accepted.trace_id, accepted.span_id)
        assert accepted.start_time_unix_nano <= part.start_time_unix_nano < part.end_time_unix_nano
        assert part.end_time_unix_nano <= accepted.end_time_unix_nano
    (model,) = found["GET /v1/model"]
    assert other == f"00-{model.trace_id.hex()}-{model.span_id.hex()}-01"
    assert len({span.trace_id for span in (accepted, refused, model)}) == 3
    assert model.parent_span_id == b""


def test_a_trace_that_is_not_sampled_is_not_sent(serve: Callable[..., Service], collector: Collector) -> None:
    service = serve(otlp_endpoint=collector.url).ready()
    header = service.send(BAG.read_bytes(), traceparent=f"{GIVEN[:-2]}00").headers["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", header)
    assert service.stop() == 0
    assert collector.spans() == {}


def test_requests_succeed_without_the_collector(serve: Callable[..., Service]) -> None:
    service = serve(otlp_endpoint=f"http://127.0.0.1:{free_port()}").ready()
    assert service.send(BAG.read_bytes()).status_code == 201
    until(lambda: "opentelemetry" in service.log.read_text())
    assert service.send(BAG.read_bytes()).status_code == 201


def test_a_collector_that_does_not_respond_delays_nothing(serve: Callable[..., Service]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = serve(otlp_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}").ready()
        with requests.Session() as session:
            for _ in range(600):  # more than a batch, so that the first one is on its way
                assert session.get(f"{service.url}/v1/model", timeout=5, headers={"traceparent": GIVEN}).ok
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 8


def run(code: str, path: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


SERVE = "import sys; sys.argv = ['lookbook', 'serve']; from lookbook.cli.main import main; main()"


def test_a_server_without_opentelemetry_refuses_to_trace(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')")
    (tmp_path / "tokens").write_text("secret\n")
    environment = {"LOOKBOOK_OTLP_ENDPOINT": "http://127.0.0.1:4318", "LOOKBOOK_TOKENS_FILE": str(tmp_path / "tokens")}
    result = run(SERVE, tmp_path, LOOKBOOK_BIND=f"127.0.0.1:{free_port()}", **environment)
    assert result.returncode == 2
    assert result.stderr == (
        "lookbook: LOOKBOOK_OTLP_ENDPOINT=http://127.0.0.1:4318: tracing is not installed: "
        f'in a checkout of Lookbook, run {sys.executable} -m pip install ".[otel]"\n'
    )


def test_opentelemetry_is_not_imported_if_tracing_is_off(tmp_path: Path) -> None:
    """Not even if the platform gives every process the address of its collector."""
    code = "import os, sys; from lookbook.settings import Settings; from lookbook.server.wsgi import build; "
    code += "build(Settings.from_environment(os.environ)); print([n for n in sys.modules if 'opentel' in n])"
    environment = {"LOOKBOOK_SQLITE_PATH": str(tmp_path / "x.sqlite"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    result = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", **environment)
    assert result.stdout == "[]\n", result.stderr
