"""Metrics, counted in plain Python and rendered only when somebody asks: a request pays one dictionary entry.

`prometheus_client` is loaded at the first scrape. Names begin with `mbaas_`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""
_SLOWER = len(BUCKETS)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], list[float]] = {}
        self._counters: dict[str, tuple[str, tuple[str, ...], dict[tuple[str, ...], float]]] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._tallies: dict[str, tuple[str, Callable[[], float]]] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is its template, such as `GET /classes/{class}`, never a raw path."""
        try:
            row = self._requests[route, status]
        except KeyError:
            row = self._requests[route, status] = [0.0] * (_SLOWER + 2)
        row[bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds

    def counter(self, name: str, about: str, *labels: str) -> Callable[..., None]:
        """A function that counts: `failed("mail")`, or `failed("mail", by=3)`; one label value for each label name."""
        values = self._counters.setdefault(name, (about, labels, {}))[2]

        def count(*label_values: str, by: float = 1) -> None:
            values[label_values] = values.get(label_values, 0) + by

        return count

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A value that is read at each scrape."""
        self._gauges[name] = (about, read)

    def tally(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A count that is kept elsewhere, and read at each scrape."""
        self._tallies[name] = (about, read)

    def render(self) -> tuple[bytes, str]:
        """The exposition text and its content type."""
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Collector(self))
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def families(self) -> Iterator[Any]:
        """Everything counted so far, as Prometheus knows it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily("mbaas_http_requests", "Answered requests", labels=["route", "status"])
        latency = HistogramMetricFamily("mbaas_http_request_seconds", "Time to answer", labels=["route"])
        for (route, status), row in sorted(self._requests.items()):
            requests.add_metric([route, str(status)], sum(row[:-1]))
        for route, total in _by_route(self._requests).items():
            latency.add_metric([route], buckets=_cumulative(total), sum_value=total[-1])
        yield requests
        yield latency
        for name, (about, labels, values) in sorted(self._counters.items()):
            family = CounterMetricFamily(f"mbaas_{name}", about, labels=labels)
            for label_values, value in sorted(values.items()):
                family.add_metric(label_values, value)
            yield family
        for name, (about, read) in sorted(self._tallies.items()):
            yield CounterMetricFamily(f"mbaas_{name}", about, value=read())
        for name, (about, read) in sorted(self._gauges.items()):
            yield GaugeMetricFamily(f"mbaas_{name}", about, value=read())


class _Collector:
    """Prometheus' side of `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        return self._metrics.families()


def _by_route(rows: dict[tuple[str, int], list[float]]) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {}
    for (route, _), row in sorted(rows.items()):
        out[route] = [a + b for a, b in zip(out.get(route, [0.0] * len(row)), row, strict=True)]
    return out


def _cumulative(row: list[float]) -> list[tuple[str, float]]:
    total, out = 0.0, []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], row[:-1], strict=True):
        total += count
        out.append((bound, total))
    return out
