"""Cassandra nodes whose power can be cut: each keeps its data on a file system of its own, on a loop device.

The XFS shutdown ioctl drops everything that was not flushed to the device, as losing power does.
"""

import shutil
import subprocess
from pathlib import Path

from tests.support.requirements import lacking
from tests.support.running import docker, until

NETWORK = "lookbook-power"
SUBNET = "10.77.0"
IMAGE = "cassandra:5.0"
# All nodes start at once and know each other.
SEEDS = ",".join(f"{SUBNET}.{number}" for number in (11, 12, 13))
QUICK = (
    "-Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0 -XX:TieredStopAtLevel=1"
    " -Dcassandra.superuser_setup_delay_ms=0"
)


def run(*command: object) -> str:
    """Output of a command; raises CalledProcessError."""
    text = [str(part) for part in command]
    return subprocess.run(text, capture_output=True, text=True, check=True, timeout=120).stdout


def check_requirements() -> None:
    for tool in ("docker", "mkfs.xfs", "xfs_io"):
        if not shutil.which(tool):
            lacking(f"no {tool}: cutting the power needs root, Docker, and xfsprogs", "POWER")


class Node:
    """A container whose data survives a power loss only if it was flushed."""

    def __init__(self, number: int, folder: Path, configure: str) -> None:
        """`configure`: shell script that copies the configuration into /conf and edits it, as the chart's does."""
        self.address = f"{SUBNET}.{number}"
        self._name = f"{NETWORK}-{number}"
        self._mount = folder / f"node-{number}"
        self._disk = folder / f"node-{number}.xfs"
        self._mount.mkdir()
        run("truncate", "--size=2G", self._disk)
        run("mkfs.xfs", "-q", self._disk)
        self._attach()
        run("chown", "999:999", self._mount)
        docker(
            "create",
            f"--name={self._name}",
            f"--network={NETWORK}",
            f"--ip={self.address}",
            f"--env=CASSANDRA_SEEDS={SEEDS}",
            "--env=MAX_HEAP_SIZE=256M",
            f"--env=JVM_EXTRA_OPTS={QUICK}",
            f"--volume={self._mount}:/var/lib/cassandra",
            "--entrypoint=sh",
            IMAGE,
            "-ec",
            f"mkdir -p /conf\n{configure}\ncp -r /conf/. /etc/cassandra\nexec docker-entrypoint.sh cassandra -f",
        )

    def start(self) -> None:
        docker("start", self._name)

    def until_up(self) -> None:
        until(self._is_up, 240)

    def cut_power(self) -> None:
        run("xfs_io", "-x", "-c", "shutdown", self._mount)

    def restore_power(self) -> None:
        docker("stop", "--time=0", self._name)  # Cassandra may have ended already, without its disk
        run("umount", self._mount)
        self._attach()
        self.start()

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self._name)
        run("umount", self._mount)

    def log(self) -> str:
        return docker("logs", "--tail=50", self._name)

    def _attach(self) -> None:
        run("mount", "-o", "loop", self._disk, self._mount)

    def _is_up(self) -> bool:
        try:
            # Three lines "UN  address ..." once the whole ring is up, as this node sees it.
            return docker("exec", self._name, "nodetool", "status").count("\nUN ") == len(SEEDS.split(","))
        except subprocess.CalledProcessError:
            return False
