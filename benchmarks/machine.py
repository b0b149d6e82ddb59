"""The machine that is measured."""

import os
from datetime import UTC, datetime
from pathlib import Path

from lookbook.server.cpus import available_cpus


def machine() -> str:
    """Processor, cores, load average before the benchmark, and time."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    now = datetime.now(UTC)
    name = names[0] if names else "unknown CPU"
    return f"{name}, {available_cpus()} cores, load average {os.getloadavg()[0]:.1f}, {now:%Y-%m-%d %H:%M} UTC"
