"""A node without containers, which serves logs to an API server as a kubelet does."""

import ssl
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


class Kubelet:
    """`queries` has those of each request for the log of a pod, by the pod's name."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.queries = defaultdict[str, list[dict[str, str]]](list)
        self.hangs = False  # a connection stays open at the end of the log
        self._lines: dict[str, list[tuple[datetime, str]]] = {}

    def log(self, pod: str, text: str) -> None:
        self._lines.setdefault(pod, []).append((datetime.now(UTC), text))

    def connect(self, pod: str, query: dict[str, str]) -> Iterator[bytes]:
        """Lines with their times, which have nanoseconds."""
        self.queries[pod].append(query)
        since = datetime.now(UTC) - timedelta(seconds=int(query.get("sinceSeconds", "1000000")))
        for moment, text in self._lines.get(pod, []):
            if moment >= since:
                yield f"{moment:%Y-%m-%dT%H:%M:%S.%f}789Z {text}\n".encode()
        while self.hangs:
            time.sleep(0.02)


class _Server(ThreadingHTTPServer):
    kubelet: Kubelet


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        pod = url.path.split("/")[-2]
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):  # the reader may leave
            for line in self.server.kubelet.connect(pod, dict(parse_qsl(url.query))):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running_kubelet(folder: Path) -> Iterator[Kubelet]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subject = ("-subj", "/CN=kubelet", "-days", "2", "-keyout", str(key), "-out", str(certificate))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.kubelet = Kubelet(server.server_port)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.kubelet
        finally:
            server.kubelet.hangs = False
            server.shutdown()
            thread.join()
