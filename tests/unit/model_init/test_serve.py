import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.places import MLP

BUNDLE = "/fashion-mnist-mlp/2.2.0"


def get(url: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body; the path is sent unchanged."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 10) as sock:
        sock.sendall(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        response = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.usefixtures("published")
def test_it_serves_the_files_of_bundles(serve: Callable[[], str]) -> None:
    url = serve()
    for name in ("model.json", "model.tflite", "golden/fashion-8.png"):
        assert requests.get(f"{url}{BUNDLE}/{name}", timeout=10).content == (MLP / name).read_bytes()
    assert get(url, f"{BUNDLE}/model.json", "HEAD") == (200, b"")
    assert get(url, "/livez") == (200, b"ok\n")


def test_it_serves_bundles_that_are_published_while_it_runs(volume: Path, serve: Callable[[], str]) -> None:
    url = serve()
    assert get(url, f"{BUNDLE}/model.json")[0] == 404
    (volume / "fashion-mnist-mlp").mkdir()
    (volume / BUNDLE[1:]).symlink_to(volume / ".elsewhere")
    (volume / ".elsewhere").mkdir()
    (volume / ".elsewhere/model.json").write_text("{}")
    assert get(url, f"{BUNDLE}/model.json") == (200, b"{}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/fashion-mnist-mlp",
        "/fashion-mnist-mlp/",
        BUNDLE,
        f"{BUNDLE}/",
        f"{BUNDLE}/golden",
        f"{BUNDLE}/golden/",
        f"{BUNDLE}/nothing",
        f"{BUNDLE}/.hidden",
        f"{BUNDLE}/golden/.hidden",
        "/.publish-1/bundle/model.json",
        f"{BUNDLE}/../../../secret",
        f"{BUNDLE}/%2e%2e/%2e%2e/%2e%2e/secret",
        f"{BUNDLE}/..%2f..%2f..%2fsecret",
        f"/..{BUNDLE}/model.json",
        "//etc/passwd",
        "/a//etc/passwd",
        f"{BUNDLE}/outside/secret",
        f"{BUNDLE}/link",
        f"{BUNDLE}/model.json%00",
        f"{BUNDLE}/{'a' * 3000}",
        "/livez/",
    ],
)
def test_it_serves_nothing_else(volume: Path, published: Path, serve: Callable[[], str], path: str) -> None:
    (volume.parent / "secret").write_text("secret")
    (published / "outside").symlink_to(volume.parent)
    (published / "link").symlink_to("/etc/passwd")
    for hidden in (published / ".hidden", published / "golden/.hidden"):
        hidden.write_text("secret")
    (volume / ".publish-1/bundle").mkdir(parents=True)
    (volume / ".publish-1/bundle/model.json").write_text("secret")
    assert get(serve(), path) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(published: Path, serve: Callable[[], str], method: str) -> None:
    response = requests.request(method, f"{serve()}{BUNDLE}/model.json", data=b"x", timeout=10)
    assert (response.status_code, response.text) == (405, "405 Method Not Allowed\n")
    assert response.headers["Allow"] == "GET, HEAD"
    assert (published / "model.json").read_bytes() == (MLP / "model.json").read_bytes()
