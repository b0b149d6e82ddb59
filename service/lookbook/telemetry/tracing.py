"""Which trace a request belongs to, by W3C Trace Context: https://www.w3.org/TR/trace-context/."""

import re
import secrets
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class Trace:
    """One span of a trace, with ids in hex; `sampled` if it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """The traceparent header that names this span."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def read_trace(header: str | None) -> Trace | None:
    """The span that a traceparent header names; None without a header or with an invalid one, which is ignored."""
    match = _HEADER.fullmatch(header or "")
    if match is None or (match[1] == "00" and match[5]):
        return None
    return Trace(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def next_trace(parent: Trace | None) -> Trace:
    """A new span below the parent or, without a parent, in a new trace that is not recorded."""
    if parent:
        return Trace(parent.trace_id, secrets.token_hex(8), parent.sampled)
    new = secrets.token_hex(24)
    return Trace(new[:32], new[32:], False)


class Spans(Protocol):
    """Records the spans of requests. A thread handles one request at a time."""

    def begin(self, name: str, parent: Trace | None) -> Trace:
        """Begin the span of this thread's request."""

    def part(self, name: str) -> AbstractContextManager[object]:
        """A span for a part of this thread's request, which lasts as long as the context."""

    def end(self, method: str, route: str, status: int) -> None:
        """End the span of this thread's request."""


class NoSpans:
    """See Spans; records nothing."""

    _nothing = nullcontext()

    def begin(self, name: str, parent: Trace | None) -> Trace:  # noqa: ARG002
        return next_trace(parent)

    def part(self, name: str) -> AbstractContextManager[object]:  # noqa: ARG002
        return self._nothing

    def end(self, method: str, route: str, status: int) -> None: ...
