"""The tools: what starts each, and how many requests it has seen. What they send goes nowhere, which spares them that cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Seen = Callable[[], int]
"""Requests that the tool knows of: all, or of silk those that it has kept."""


def without() -> Seen:
    return lambda: 0


def dynostats() -> Seen:
    """By its ticks, which count all, whatever is sampled."""
    from benchmarks.baselines.tools.settings import DYNOSTATS
    from calotype.efficiency.dynostats import Tick, read
    from calotype.efficiency.dynostats.django import recorder

    def seen() -> int:
        recorder().close()
        ticks = [entry for entry in read(DYNOSTATS["directory"]) if isinstance(entry, Tick)]
        return sum(totals.requests for tick in ticks for totals in tick.endpoints.values())

    return seen


def silk() -> Seen:
    """It keeps what it sees in tables of its own."""
    import django
    from django.core.management import call_command

    django.setup(set_prefix=False)
    call_command("migrate", "silk", skip_checks=True, verbosity=0)

    def seen() -> int:
        from silk.models import Request

        return int(Request.objects.count())

    return seen


def opentelemetry() -> Seen:
    """Of the SDK the default sampler, which takes all, and the batch processor that its documentation advises."""
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        spans = 0

        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            self.spans += len(spans)
            return SpanExportResult.SUCCESS

    provider, exporter = TracerProvider(), Nowhere()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    DjangoInstrumentor().instrument(tracer_provider=provider)

    def seen() -> int:
        provider.force_flush()
        return exporter.spans

    return seen


def sentry() -> Seen:
    import sentry_sdk
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        transactions = 0

        def capture_envelope(self, envelope: Envelope) -> None:
            self.transactions += envelope.get_transaction_event() is not None

    transport = Nowhere()
    sentry_sdk.init(dsn="http://nobody@127.0.0.1:9/1", traces_sample_rate=1.0, transport=transport)
    return lambda: transport.transactions


def prometheus() -> Seen:
    from prometheus_client import REGISTRY

    return lambda: int(REGISTRY.get_sample_value("django_http_requests_before_middlewares_total") or 0)


TOOLS: dict[str, Callable[[], Seen]] = {
    "without": without,
    "dynostats": dynostats,
    "dynostats, 1 in 100": dynostats,
    "django-silk": silk,
    "opentelemetry": opentelemetry,
    "sentry-sdk": sentry,
    "django-prometheus": prometheus,
}
