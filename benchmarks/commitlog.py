"""Measures what syncing the commit log before a write is acknowledged costs: `python -m benchmarks.commitlog`.

Each row is a new ring of containers on this machine, without passwords.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookbook.settings import Settings
from lookbook.store.cassandra.cluster import DRIVER_ERRORS
from lookbook.store.cassandra.schema import set_up_cassandra

from benchmarks import table
from benchmarks.cases import SMALL
from benchmarks.errors import BenchmarkError
from benchmarks.load import drive, write_body
from benchmarks.machine import machine
from benchmarks.server import serve

_IMAGE = "cassandra:5.0"
_NETWORK = "lookbook-commitlog"
_SUBNET = "10.78.0"
_START_SECONDS = 300
_WARM_UP_SECONDS = 5
_OPTIONS = "-Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0"
# What replaces the line `commitlog_sync`.
_MODES = {
    "batch": "batch",
    "group, 5 ms": "group\\ncommitlog_sync_group_window: 5ms",
    "periodic, 10 s": "periodic\\ncommitlog_sync_period: 10s",
}
_START = r"""
sed -i -e '/^commitlog_sync_period/d' -e 's/^commitlog_sync:.*/commitlog_sync: {mode}/' \
    -e 's/^concurrent_writes:.*/concurrent_writes: 128/' /etc/cassandra/cassandra.yaml
exec docker-entrypoint.sh cassandra -f
"""


@contextmanager
def ring(nodes: int, mode: str) -> Iterator[str]:
    """The addresses of a new ring, which is removed afterward."""
    addresses = [f"{_SUBNET}.{number}" for number in range(11, 11 + nodes)]
    names = [f"{_NETWORK}-{address}" for address in addresses]
    _docker("network", "create", f"--subnet={_SUBNET}.0/24", _NETWORK)
    try:
        for name, address in zip(names, addresses, strict=True):
            _docker(
                *("run", "--detach", f"--name={name}", f"--network={_NETWORK}", f"--ip={address}"),
                *("--volume=/var/lib/cassandra", f"--env=CASSANDRA_SEEDS={','.join(addresses)}"),
                *("--env=MAX_HEAP_SIZE=512M", f"--env=JVM_EXTRA_OPTS={_OPTIONS}"),
                *("--entrypoint=sh", _IMAGE, "-ec", _START.format(mode=_MODES[mode])),
            )
        deadline = time.monotonic() + _START_SECONDS
        while not all(_is_up(name, nodes) for name in names):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the ring did not start: {_docker('logs', '--tail=3', names[0])}")
            time.sleep(1)
        yield ",".join(addresses)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", *names], capture_output=True)
        _docker("network", "rm", _NETWORK)


def _is_up(name: str, nodes: int) -> bool:
    """Whether the node accepts clients and sees all others."""
    status = subprocess.run(["docker", "exec", name, "nodetool", "status"], capture_output=True, text=True)
    return status.stdout.count("\nUN ") == nodes and "Starting listening for CQL clients" in _docker("logs", name)


def _docker(*arguments: str) -> str:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if result.returncode:
        raise BenchmarkError(f"docker {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout


def create_tables(settings: Settings) -> None:
    """Again and again while the new nodes are too busy."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return set_up_cassandra(settings)
        except DRIVER_ERRORS as error:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the tables could not be created: {error}") from error


def _measure(nodes: int, mode: str, seconds: int) -> tuple[str, ...]:
    with ring(nodes, mode) as addresses, tempfile.TemporaryDirectory(prefix="lookbook-bench-") as folder:
        create_tables(Settings(cassandra_contact_points=addresses, cassandra_replication=nodes))
        settings = {
            "LOOKBOOK_STORE": "cassandra",
            "LOOKBOOK_CASSANDRA_CONTACT_POINTS": addresses,
            "LOOKBOOK_MODEL": str(SMALL.model),
            "LOOKBOOK_THUMBNAILS": "false",
        }
        body = write_body(SMALL.image, Path(folder, "body"))
        with serve(settings, Path(folder, "log")) as server:
            drive(server.url, body, _WARM_UP_SECONDS)
            load = drive(server.url, body, seconds)
    return str(nodes), mode, f"{load.requests / load.seconds:,.0f}", f"{load.p50:.1f}", f"{load.p99:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commitlog", description=__doc__)
    parser.add_argument("--seconds", type=int, default=12, help="duration of each measurement (default: 12)")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 3], help="sizes of the rings (default: 1 3)")
    options = parser.parse_args()
    try:
        for tool in ("docker", "wrk"):
            if not shutil.which(tool):
                raise BenchmarkError(f"{tool} is not installed")
        print(f"{machine()}\n")
        table.head(("Cassandra nodes", "commitlog_sync", "predictions/s", "p50 ms", "p99 ms"), texts=2)
        for nodes in options.nodes:
            for mode in _MODES:
                table.row(_measure(nodes, mode, options.seconds))
    except BenchmarkError as error:
        print(f"commitlog: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
