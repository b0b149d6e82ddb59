"""The store of 0.1.0, run from the history of the repository."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from lookbook.prediction import Prediction

from tests.support.checkouts import released

# Predictions are the same as those of tests.support.predictions.made_at().
_PROGRAM = """
import json, sys, time
from uuid import UUID
from service.prediction import Prediction
from service.settings import Settings
from service.store import Query

settings = Settings(**json.loads(sys.argv[1]))
if settings.store == "sqlite":
    from service.store.sqlite import SqliteStore
    store = SqliteStore(settings.sqlite_path, lambda _: None)
else:
    from service.store.cassandra import CassandraStore
    from service.store.connection import open_cluster
    from service.store.schema import apply
    with open_cluster(settings, 30) as cluster:
        apply(cluster.connect(), settings)
    store = CassandraStore(settings, lambda _: None)
while not store.reached():
    time.sleep(0.05)
for line in sys.stdin:
    call, *ids = line.split()
    if call == "put":
        top = (("Bag", 0.75), ("Hat", 0.125), ("Shirt", 0.0625))
        result = store.put(Prediction(UUID(ids[0]), "bag.png", top, "model", "1.2.3"), b"thumbnail")
    elif call == "delete":
        result = store.delete(UUID(ids[0]))
    else:
        result = [str(item.id) for item in store.page(Query(100)).items]
    print(json.dumps(result), flush=True)
store.close()
"""


class OldStore:
    """Its calls wait until they are done."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def put(self, prediction: Prediction) -> None:
        self._call("put", prediction.id)

    def delete(self, prediction: Prediction) -> bool:
        return bool(self._call("delete", prediction.id))

    def ids(self) -> list[UUID]:
        """The IDs, newest first."""
        return [UUID(id) for id in self._call("list")]

    def _call(self, *words: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(*words, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@contextmanager
def old_store(settings: Mapping[str, object], folder: Path) -> Iterator[OldStore]:
    """The store of 0.1.0 with its settings; creates the tables in Cassandra."""
    code = released(folder, "service")
    command = [sys.executable, "-c", _PROGRAM, json.dumps(settings)]
    with subprocess.Popen(
        command, env={"PYTHONPATH": str(code)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        store = OldStore(process)
        store.ids()  # returns when the store is open
        yield store
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0
