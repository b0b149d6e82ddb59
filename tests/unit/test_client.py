import json
import re
import select
import socket
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.commands import LOOKBOOK, json_lines, lookbook
from tests.support.load import make_large, occupy
from tests.support.places import BAG, MLP, ROOT
from tests.support.running import Service, until

CLASSIFY = [*LOOKBOOK, "classify"]


@pytest.mark.parametrize("answer", ["{}", "[]", "null", '{"labels": 1}', '{"labels": []}', "<html>"])
def test_a_server_that_is_not_lookbook_is_one_line(answer: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.handle_request).start()
        ended = lookbook("classify", BAG, "--url", f"http://127.0.0.1:{server.server_port}")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "is not a Lookbook server: /v1/model " in ended.stderr


def test_url_and_token_come_from_the_environment(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("secret\n")
    service = serve(tokens_file=tmp_path / "tokens").ready()
    refused = lookbook("classify", BAG, LOOKBOOK_URL=service.url)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "the server requires a token: set --token or LOOKBOOK_TOKEN" in refused.stderr
    wrong = lookbook("classify", BAG, LOOKBOOK_URL=service.url, LOOKBOOK_TOKEN="wrong")
    assert "the server rejected the token: check --token or LOOKBOOK_TOKEN" in wrong.stderr
    assert lookbook("classify", BAG, LOOKBOOK_URL=service.url, LOOKBOOK_TOKEN="secret").returncode == 0
    assert (
        "id" not in json_lines(lookbook("classify", BAG, "--bundle", MLP, "--json", LOOKBOOK_URL=service.url).stdout)[0]
    )


def test_a_token_without_the_role_is_one_line(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("reader read\n")
    refused = lookbook(
        "classify", BAG, LOOKBOOK_URL=serve(tokens_file=tmp_path / "tokens").ready().url, LOOKBOOK_TOKEN="reader"
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "this token does not have the role 'predict'" in refused.stderr
    assert "--token or LOOKBOOK_TOKEN" in refused.stderr


def test_a_busy_server_is_asked_again(serve: Callable[..., Service], altered: Callable[..., Path]) -> None:
    service = serve(max_requests=1, model=altered(make_large)).ready()
    paths = [BAG] * 40
    with occupy(service):
        until(lambda: "lookbook_in_flight 1.0" in requests.get(f"{service.url}/metrics", timeout=5).text)
        # The first request, for the model, is refused, too.
        command = subprocess.Popen(
            [*CLASSIFY, *map(str, paths), "--url", service.url, "--json"], stdout=subprocess.PIPE, cwd=ROOT
        )
        until(lambda: "lookbook_refused_total 0.0" not in requests.get(f"{service.url}/metrics", timeout=5).text)
    out, _ = command.communicate(timeout=120)
    assert command.returncode == 0
    ids = {result["id"] for result in json_lines(out.decode())}
    assert len(ids) == len(paths)
    assert ids == service.all_ids()


def test_a_retry_after_that_is_not_a_number_is_a_pause() -> None:
    """Some proxies send such a header while their server is unavailable."""
    model = {"name": "m", "version": "1", "labels": ["Bag"]}
    prediction = {"label": "Bag", "score": 1.0, "top": [{"label": "Bag", "score": 1.0}], "model": model}
    posts: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond(200, model)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            posts.append(self.path)
            self.respond(503 if len(posts) < 3 else 201, prediction)

        def respond(self, code: int, body: dict[str, Any]) -> None:
            self.send_response(code)
            self.send_header("Retry-After", "soon")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        ended = lookbook("classify", BAG, "--url", f"http://127.0.0.1:{server.server_port}", "--json")
        server.shutdown()
    assert (ended.returncode, ended.stderr, len(posts)) == (0, "", 3)
    assert json_lines(ended.stdout)[0]["label"] == "Bag"


def test_a_body_that_is_far_too_large_does_not_stop_the_others(serve: Callable[..., Service], tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(BAG.read_bytes() + bytes(20_000_000))
    paths = [BAG, *[tmp_path / "large.png"] * 8, BAG]
    ended = lookbook("classify", *paths, "--url", serve().ready().url, "--json")
    first, *large, last = json_lines(ended.stdout)
    assert (ended.returncode, first["label"], last["label"]) == (1, "Bag", "Bag")
    # A server that does not read the whole body may close the connection before its response is read.
    assert {result["error"]["code"] for result in large} <= {"image_too_large", "connection_lost"}


class Unsteady:
    """Forwards connections to a server; closes the first one that sends an image before its response arrives."""

    def __init__(self, port: int) -> None:
        self.swallowed = 0
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        posted = False
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    posted = posted or (source is client and data.startswith(b"POST"))
                    if source is server and posted and not self.swallowed:
                        self.swallowed += 1
                        return
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


def test_a_lost_response_is_not_stored_twice(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    unsteady = Unsteady(service.port)
    ended = lookbook("classify", BAG, "--url", unsteady.url, "--json")
    assert (ended.returncode, unsteady.swallowed) == (0, 1)
    assert service.all_ids() == {json_lines(ended.stdout)[0]["id"]}


def test_a_proxy_is_named_and_bypassed_for_this_machine(serve: Callable[..., Service]) -> None:
    service = serve().ready()
    proxy: dict[str, Any] = {"http_proxy": "http://user:secret@127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    for url in (service.url, service.url.replace("127.0.0.1", "localhost")):
        assert lookbook("classify", BAG, "--url", url, **proxy).returncode == 0
    ended = lookbook("classify", BAG, "--url", "http://lookbook.invalid", **proxy)
    assert ended.returncode == 1
    assert ended.stderr == (
        "lookbook: cannot reach http://lookbook.invalid through the proxy http://127.0.0.1:9: "
        "[Errno 111] Connection refused; check --url, and that the server is running\n"
    )


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(407)
        self.end_headers()


def test_a_proxy_that_refuses_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), _Proxy) as server:
        threading.Thread(target=server.handle_request).start()
        proxy = f"http://127.0.0.1:{server.server_port}"
        ended = lookbook("classify", BAG, "--url", "http://lookbook.invalid", http_proxy=proxy)
    assert (
        ended.stderr == f"lookbook: http://lookbook.invalid through the proxy {proxy} responded with 407 "
        "Proxy Authentication Required\n"
    )


def test_a_port_without_http_is_one_line() -> None:
    def greet(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the test is over
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass  # a reset would overtake the line

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended = lookbook("classify", BAG, "--url", url)
        listener.shutdown(socket.SHUT_RDWR)
    reason = "what is running there does not respond with HTTP; check --url, and that the server is running"
    assert (ended.returncode, ended.stderr) == (1, f"lookbook: cannot reach {url}: {reason}\n")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://lookbook.invalid", "http://[::1]:1", "https://127.0.0.1:1"]
)
def test_why_a_server_cannot_be_reached_is_plain_text(url: str) -> None:
    ended = lookbook("classify", BAG, "--url", url)
    reason = ended.stderr.removeprefix(f"lookbook: cannot reach {url}: ")
    assert reason != ended.stderr
    assert not re.search(r"[<>\"]|\)\)|object at|HTTPConnection", reason)
