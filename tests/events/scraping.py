"""Scrapes the metrics of this process as Prometheus does: with the real SDK and exporter, over HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import httpx
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

from traffik.events.otel import export_metrics


@contextmanager
def exporting(**options):
    """Export metrics; yields `metrics`, and `scrape`, which returns {(name, label values…): value}."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(disable_target_info=True, registry=registry)])
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        with export_metrics(provider, **options) as metrics:

            def families():
                assert metrics.flush(10)
                text = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics").text
                return list(text_string_to_metric_families(text))

            def scrape():
                return {sample[0]: sample[1] for family in families() for sample in map(_plain, family.samples)}

            yield SimpleNamespace(metrics=metrics, families=families, scrape=scrape)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        provider.shutdown()


def _plain(sample):
    labels = {name: value for name, value in sample.labels.items() if not name.startswith("otel_")}
    return (sample.name, *(labels[name] for name in sorted(labels))), sample.value
