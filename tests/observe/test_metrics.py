"""Counting is cheap, and what is counted is what Prometheus reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mbaas.observe.metrics import BUCKETS, Metrics

GET = "GET /classes/{class}/{id}"


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) → value, as a scraper reads the text."""
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    families = text_string_to_metric_families(body.decode())
    return {(s.name, tuple(value for _, value in sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_requests_are_counted_by_route_and_status_with_their_times() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.0001), (200, 0.0005), (404, 0.002), (200, 99.0)):
        metrics.request(GET, status, seconds)
    found = samples(metrics)
    assert found["mbaas_http_requests_total", (GET, "200")] == 3
    assert found["mbaas_http_requests_total", (GET, "404")] == 1
    assert found["mbaas_http_request_seconds_bucket", ("0.0005", GET)] == 2
    assert found["mbaas_http_request_seconds_bucket", ("0.0025", GET)] == 3
    assert found["mbaas_http_request_seconds_bucket", (str(BUCKETS[-1]), GET)] == 3
    assert found["mbaas_http_request_seconds_bucket", ("+Inf", GET)] == 4
    assert found["mbaas_http_request_seconds_count", (GET,)] == 4
    assert abs(found["mbaas_http_request_seconds_sum", (GET,)] - 99.0026) < 1e-9


def test_counters_and_gauges() -> None:
    metrics = Metrics()
    sent = metrics.counter("push_sent", "Pushes handed to a provider", "provider")
    sent("fcm")
    sent("apns", by=3)
    metrics.gauge("live_clients", "Open sockets", lambda: 7)
    metrics.tally("live_frames", "Events that were sent", lambda: 11)
    found = samples(metrics)
    assert found["mbaas_live_frames_total", ()] == 11
    assert found["mbaas_push_sent_total", ("fcm",)] == 1
    assert found["mbaas_push_sent_total", ("apns",)] == 3
    assert found["mbaas_live_clients", ()] == 7
