"""What one run of one peer costs."""

import json
import subprocess
from dataclasses import dataclass

from benchmarks.load import drive
from benchmarks.peers import process_tree, vegeta
from benchmarks.peers.running import Running

_WARM_UP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """One run; times in milliseconds, memory in MB. Those of the open loop are None if vegeta is missing."""

    cpu: float
    rate: float
    p50: float
    p99: float
    switches: float
    memory: float
    ready_seconds: float
    open_p50: float | None
    open_p99: float | None
    open_failed: float | None


def measure(running: Running, seconds: int) -> Figures:
    """Drive a peer with 8 connections, then with half of the rate that it has reached."""
    drive(running.url, running.body, _WARM_UP_SECONDS)
    before = process_tree.usage(running.process.pid)
    load = drive(running.url, running.body, seconds)
    after = process_tree.usage(running.process.pid)
    rate = load.requests / load.seconds
    open_p50, open_p99, open_failed = _open_loop(running, rate / 2, seconds)
    return Figures(
        cpu=(after.cpu_seconds - before.cpu_seconds) / load.requests * 1000,
        rate=rate,
        p50=load.p50,
        p99=load.p99,
        switches=(after.switches - before.switches) / load.requests,
        memory=process_tree.memory(running.process.pid),
        ready_seconds=running.seconds,
        open_p50=open_p50,
        open_p99=open_p99,
        open_failed=open_failed,
    )


def _open_loop(running: Running, rate: float, seconds: int) -> tuple[float, float, float] | tuple[None, None, None]:
    """p50 and p99 in milliseconds, and the share that failed, of requests that start at a fixed rate, come what may."""
    program = vegeta.find()
    if not program:
        return None, None, None
    target = f"POST {running.url}{running.body.path}\nContent-Type: {running.body.content_type}\n@{running.body.file}\n"
    attack = [program, "attack", f"-rate={max(1, round(rate))}", f"-duration={seconds}s"]
    results = subprocess.run(attack, input=target.encode(), stdout=subprocess.PIPE, check=True).stdout
    report = subprocess.run([program, "report", "-type=json"], input=results, stdout=subprocess.PIPE, check=True).stdout
    found = json.loads(report)
    return found["latencies"]["50th"] / 1e6, found["latencies"]["99th"] / 1e6, 1 - found["success"]
