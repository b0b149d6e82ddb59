"""Compares Lookbook with other servers: `python -m benchmarks.peers`, or `make peers`."""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks.cases import PHOTO, SMALL, Sample
from benchmarks.errors import BenchmarkError
from benchmarks.keyspace import stores
from benchmarks.load import check_wrk
from benchmarks.machine import machine
from benchmarks.peers import behavior, recorders, report
from benchmarks.peers.measuring import Figures, measure
from benchmarks.peers.neighbor import busy_neighbor
from benchmarks.peers.peers import KEYSPACE, Peer, lookbook, others
from benchmarks.peers.running import run
from benchmarks.peers.stall import Fault, Outcome, endure

# Lookbook stores thumbnails of photographs; of images of 28x28 pixels, there is nothing to make smaller.
_SAMPLES = ((SMALL, False), (PHOTO, True))
_NEIGHBOR_SECONDS = 600


def costs(
    peers: Sequence[Peer], sample: Sample, rounds: int, seconds: int, busy: bool
) -> dict[str, list[Figures | None]]:
    """The figures of each peer, measured in turns; None for a round without a result."""
    found: dict[str, list[Figures | None]] = {peer.name: [] for peer in peers}
    for number in range(1, rounds + 1):
        for peer in peers:
            _progress(f"{sample.name}, round {number} of {rounds}: {peer.name}")
            try:
                with run(peer, sample) as running, ExitStack() as stack:
                    if busy:
                        stack.enter_context(busy_neighbor(_NEIGHBOR_SECONDS))
                    found[peer.name].append(measure(running, seconds))
            except BenchmarkError as error:
                found[peer.name].append(None)
                _progress(f"{peer.name}: {error}")
    return {name: figures for name, figures in found.items() if any(figures)}


def behaviors(peers: Sequence[Peer]) -> dict[str, list[str]]:
    found = {}
    for peer in peers:
        _progress(f"behavior: {peer.name}")
        try:
            with run(peer, SMALL) as running:
                checks = (behavior.text_file, behavior.crowd, behavior.stop_under_load)
                found[peer.name] = [check(running) for check in checks]
        except BenchmarkError as error:
            _progress(f"{peer.name}: {error}")
    return found


def stalls(stores: Sequence[str], only: Sequence[str], seconds: int) -> dict[tuple[str, Fault], Outcome]:
    found = {}
    for name, start in recorders.available(stores).items():
        for fault in Fault if _is_selected(name, only) else ():
            _progress(f"{name} {fault.value.format(seconds)}")
            try:
                with start() as recorder:
                    if outcome := endure(recorder, fault, seconds):
                        found[name, fault] = outcome
            except BenchmarkError as error:
                _progress(f"{name}: {error}")
    return found


def _tables(options: argparse.Namespace, names: Sequence[str]) -> Iterator[str]:
    yield f"Measured with `{_command(options)}` on an {machine()}:"
    if options.stall:
        yield ""
        yield from report.stalls(stalls(names, options.only, options.stall), options.stall)
        return
    for sample, thumbnails in _SAMPLES:
        peers = _selected([*(lookbook(store, thumbnails) for store in names), *others()], options.only)
        neighbor = ", with a busy neighbor" if options.busy else ""
        yield f"\n### {sample.name}, {'/'.join(sample.model.parts[-2:])}{neighbor}\n"
        yield from report.costs(costs(peers, sample, options.rounds, options.seconds, options.busy))
    if options.behavior:
        yield "\n### What they do\n"
        peers = _selected([*(lookbook(store, False) for store in names), *others()], options.only)
        yield from report.behavior(behaviors(peers))


def _command(options: argparse.Namespace) -> str:
    if options.stall:
        return f"python -m benchmarks.peers --stall {options.stall}"
    switches = [f"--{name}" for name in ("busy", "behavior") if getattr(options, name)]
    return " ".join(["python -m benchmarks.peers", f"--rounds {options.rounds} --seconds {options.seconds}", *switches])


def _selected(peers: Sequence[Peer], only: Sequence[str]) -> list[Peer]:
    return [peer for peer in peers if _is_selected(peer.name, only)]


def _is_selected(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> None:
    check_wrk()
    with stores(KEYSPACE, _progress) as measured:
        lines = []
        for line in _tables(options, measured):
            print(line, flush=True)
            lines.append(line)
    if options.write:
        report.write("\n".join(lines) + "\n", "stall" if options.stall else "peers")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is started (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="seconds of each load (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=(), help="only servers with this in their name")
    parser.add_argument("--busy", action="store_true", help="keep every CPU busy with a process of lowest priority")
    parser.add_argument("--behavior", action="store_true", help="also see what they do with bad input and SIGTERM")
    parser.add_argument(
        "--stall",
        type=int,
        nargs="?",
        const=60,
        metavar="SECONDS",
        help="see instead what becomes of records while their sink or store does not answer (default: for 60 seconds)",
    )
    parser.add_argument("--write", action="store_true", help=f"write the tables into {report.PAGE.name}, too")
    # The servers end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _run(parser.parse_args())
    except BenchmarkError as error:
        _progress(f"peers: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
