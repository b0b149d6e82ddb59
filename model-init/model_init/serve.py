"""Serves the volume over HTTP, read-only."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.sock import TCP6Socket, TCPSocket
from lookbook.addresses import bind as bind_socket
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Request, Response

from model_init.errors import Refused

THREADS = 16
# /<name>/<version>/<file>, no part of it hidden.
_FILE = re.compile(r"/([^/.][^/]*(?:/[^/.][^/]*){2,})")


def create_app(root: Path) -> Callable[..., Any]:
    """A WSGI application for the files of bundles: no listings, no hidden files, nothing outside the volume."""
    root = Path(os.path.realpath(root))

    @Request.application
    def application(request: Request) -> Response:
        try:
            return _respond(request, root)
        except HTTPException as error:
            headers = {"Allow": "GET, HEAD"} if isinstance(error, MethodNotAllowed) else {}
            return Response(f"{error.code} {error.name}\n", error.code, headers)

    return application


def _respond(request: Request, root: Path) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed
    if request.path == "/livez":
        return Response("ok\n")
    match = _FILE.fullmatch(request.path)
    if not match or not request.path.isprintable():
        raise NotFound
    # A symbolic link may point elsewhere in the volume, but not out of it.
    if not Path(os.path.realpath(root / match[1])).is_relative_to(root):
        raise NotFound
    return send_from_directory(root, match[1], request.environ)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with one process and a few threads."""

    def __init__(self, root: Path, bind: str) -> None:
        """Raises Refused if it cannot listen on the address."""
        self._root = root
        try:
            self._listener = bind_socket(bind)
        except OSError as error:
            raise Refused(f"cannot listen on {bind}: {error.strerror}: choose another address or port") from error
        super().__init__()

    def load_config(self) -> None:
        options = {
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "worker_tmp_dir": "/dev/shm",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        return create_app(self._root)

    def run(self) -> None:
        arbiter, listener = Arbiter(self), self._listener
        wrap = TCP6Socket if listener.family == socket.AF_INET6 else TCPSocket
        arbiter.LISTENERS = [wrap(listener.getsockname(), arbiter.cfg, arbiter.log, fd=listener.detach())]
        arbiter.run()
