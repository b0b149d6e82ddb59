"""The store that the settings name, opened by a command. Tests: tests/unit/test_export.py."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lookbook.errors import StoreUnavailable
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.store.opening import open_store

_REACH_SECONDS = 20


@contextmanager
def opened_store(create: bool = False) -> Iterator[Store]:
    """The store; `create` allows a new SQLite file. Raises StoreUnavailable if it cannot be used."""
    settings = Settings.from_environment(os.environ)
    if settings.store == "sqlite" and not create and not Path(settings.sqlite_path).exists():
        raise StoreUnavailable(
            f"{settings.sqlite_path} does not exist: set LOOKBOOK_SQLITE_PATH to the file of the server, "
            "or LOOKBOOK_STORE=cassandra and LOOKBOOK_CASSANDRA_*"
        )
    with _quiet(), closing(open_store(settings, lambda _: None)) as store:
        deadline = time.monotonic() + _REACH_SECONDS
        while not store.status().reached:
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"the store is unavailable: {store.status().failure}; check LOOKBOOK_CASSANDRA_*"
                )
            time.sleep(0.1)
        yield store


@contextmanager
def _quiet() -> Iterator[None]:
    """Without logs: errors say what a person needs to know, and the stores' logs are for servers."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
