"""Spans sent to an OpenTelemetry collector; imported only if tracing is on. Tests: tests/unit/test_tracing.py."""

import atexit
import threading
from contextlib import AbstractContextManager

from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

from lookbook import __version__
from lookbook.telemetry.tracing import Trace, next_trace

_LAST_SECONDS = 3


class OtlpSpans:
    """See `Spans`. OpenTelemetry's `OTEL_*` variables are honored, such as those for sampling and headers."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is the collector's base URL, without /v1/traces."""
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        _shut_down_at_exit(provider)
        self._tracer = provider.get_tracer("lookbook", __version__)
        self._current = threading.local()

    def begin(self, name: str, parent: Trace | None) -> Trace:
        span = self._tracer.start_span(name, _context(parent), SpanKind.SERVER)
        self._current.span, self._current.token = span, context.attach(set_span_in_context(span))
        found = span.get_span_context()
        if not found.is_valid:  # with OTEL_SDK_DISABLED
            return next_trace(parent)
        return Trace(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)

    def part(self, name: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name)

    def end(self, method: str, route: str, status: int) -> None:
        span = self._current.span
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()
        context.detach(self._current.token)


def _shut_down_at_exit(provider: TracerProvider) -> None:
    """Send the last spans when the process ends, without waiting long for a collector that does not respond."""
    ending = threading.Event()

    def shut_down() -> None:
        ending.wait()
        provider.shutdown()

    # Started now, because a process that is ending cannot start a thread.
    thread = threading.Thread(target=shut_down, name="spans", daemon=True)
    thread.start()

    def end() -> None:
        ending.set()
        thread.join(_LAST_SECONDS)

    atexit.register(end)


def _resource() -> Resource:
    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "lookbook"}))
    return resource.merge(Resource({"service.version": __version__}))


def _context(parent: Trace | None) -> context.Context:
    """The parent's context or an empty one, never the current one: only the client names a request's parent."""
    if parent is None:
        return context.Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    remote = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(remote), context.Context())
