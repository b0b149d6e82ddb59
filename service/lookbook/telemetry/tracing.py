"""Which trace a request belongs to. Source: W3C Trace Context, https://www.w3.org/TR/trace-context/."""

import re
import secrets
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace, its ids in hex; `sampled` where somebody records it."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """What a traceparent header says of it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def read_trace(header: str | None) -> Trace | None:
    """The place that a traceparent header names; None where there is none, or a bad one, which must not matter."""
    match = _HEADER.fullmatch(header or "")
    if match is None or (match[1] == "00" and match[5]):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def next_trace(parent: Trace | None) -> Trace:
    """A new place below the parent, or in a new trace, which nobody records."""
    if parent:
        return Trace(parent.trace_id, secrets.token_hex(8), parent.sampled)
    fresh = secrets.token_hex(24)
    return Trace(fresh[:32], fresh[32:], False)


class Spans(Protocol):
    """Records what requests do."""

    def begin(self, name: str, parent: Trace | None) -> Trace:
        """A request begins in this thread."""

    def part(self, name: str) -> AbstractContextManager[object]:
        """A part of the thread's request, as long as the context lasts."""

    def end(self, method: str, route: str, status: int) -> None:
        """The thread's request has its answer."""


class NoSpans:
    """Records nothing; see Spans."""

    _nothing = nullcontext()

    def begin(self, name: str, parent: Trace | None) -> Trace:  # noqa: ARG002
        return next_trace(parent)

    def part(self, name: str) -> AbstractContextManager[object]:  # noqa: ARG002
        return self._nothing

    def end(self, method: str, route: str, status: int) -> None: ...
