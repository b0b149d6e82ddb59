"""The gunicorn that is installed still has what lookbook.server.worker builds on."""

import inspect
import os
import socket
from collections.abc import Iterator

import gunicorn
import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.workers.gthread import TConn, ThreadWorker
from lookbook.server.connection import Connection
from lookbook.server.worker import OVERRIDDEN, USED, Worker

BASES: dict[type, type] = {Worker: ThreadWorker, Connection: TConn}


@pytest.fixture(scope="module")
def owners() -> Iterator[dict[str, object]]:
    """One of each class that OVERRIDDEN and USED name."""
    config, client = Config(), ("127.0.0.1", 1)
    worker = ThreadWorker(1, os.getppid(), [], None, 30, config, None)
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        parser = get_parser(config, near, client)
        yield {
            "ThreadWorker": worker,
            "TConn": TConn(config, near, client, client),
            "Parser": parser,
            "Unreader": parser.unreader,
            "Request": next(parser),
        }
    worker.tmp.close()


@pytest.mark.parametrize(
    ("name", "purpose"),
    [(name, f"overrides to {why}") for name, why in OVERRIDDEN.items()]
    + [(name, f"uses to {why}") for name, why in USED.items()],
)
def test_gunicorn_still_has_it(owners: dict[str, object], name: str, purpose: str) -> None:
    owner, attribute = name.split(".")
    if not hasattr(owners[owner], attribute):
        pytest.fail(f"gunicorn {gunicorn.__version__} no longer has {name}, which lookbook.server.worker {purpose}")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_gunicorn_still_passes_the_same_arguments(name: str) -> None:
    attribute = name.removeprefix("ThreadWorker.")
    theirs, ours = (inspect.signature(getattr(cls, attribute)).parameters for cls in (ThreadWorker, Worker))
    assert len(theirs) == len(ours), f"gunicorn {gunicorn.__version__} calls {name} with {list(theirs)}"


@pytest.mark.parametrize("cls", BASES)
def test_every_override_is_listed(cls: type) -> None:
    base = BASES[cls]
    found = {f"{base.__name__}.{name}" for name in vars(cls) if not name.startswith("__") and hasattr(base, name)}
    assert found == {name for name in OVERRIDDEN if name.startswith(f"{base.__name__}.")}
