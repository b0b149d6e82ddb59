"""How many CPUs this process may use.

The standard library considers affinity only; loky considers quotas, too, but is a whole process pool.
"""

import math
import os
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Whole CPUs, at least 1: as many as the affinity allows, or fewer if a cgroup (v1 or v2) has a quota."""
    limit = float(len(os.sched_getaffinity(0)))
    for folder in _cgroups(root):
        quota = _quota(folder)
        if quota is not None:
            limit = min(limit, quota)
    return max(1, math.ceil(limit))


def _cgroups(root: Path) -> list[Path]:
    """Folders of this process's cgroups and of their parents. Inside a container, only the topmost exist."""
    folders = []
    membership = root / "proc/self/cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        own = base / path.lstrip("/")
        folders += [folder for folder in (own, *own.parents) if folder.is_relative_to(base)]
    return folders


def _quota(folder: Path) -> float | None:
    """CPUs that the cgroup may use; None if it has no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
    except FileNotFoundError:
        return None
    return int(quota) / int(period) if quota.strip() not in ("max", "-1") else None
