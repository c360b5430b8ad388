"""Metrics, counted in plain Python and rendered only when somebody asks: a request pays one dictionary entry.

`prometheus_client` is loaded at the first scrape. Names begin with `mbaas_`.
"""

from __future__ import annotations

import resource
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""
_SLOWER = len(BUCKETS)
Snapshot = dict[str, Any]
Shown = list[tuple[list[str], Snapshot]]
"""Snapshots with the value of the label `process`, if there is one."""


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], list[float]] = {}
        self._counters: dict[str, tuple[str, tuple[str, ...], dict[tuple[str, ...], float]]] = {}
        self._gauges: dict[str, tuple[str, tuple[str, ...], dict[tuple[str, ...], Callable[[], float]]]] = {}
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

    def gauge(self, name: str, about: str, read: Callable[[], float], **labels: str) -> None:
        """A value that is read at each scrape; of one name there are several, by their labels."""
        self._gauges.setdefault(name, (about, tuple(labels), {}))[2][tuple(labels.values())] = read

    def tally(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A count that is kept elsewhere, and read at each scrape."""
        self._tallies[name] = (about, read)

    def snapshot(self) -> Snapshot:
        """Everything counted so far, as JSON: another process of the server may show it."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counters = {name: values for name, (_, _, values) in self._counters.items()}
        return {
            "requests": [[route, status, row] for (route, status), row in sorted(self._requests.items())],
            "counters": {name: [[list(labels), value] for labels, value in sorted(values.items())] for name, values in counters.items()},
            "tallies": {name: read() for name, (_, read) in self._tallies.items()},
            "gauges": {name: [[list(labels), read()] for labels, read in each.items()] for name, (_, _, each) in self._gauges.items()},
            "cpu": usage.ru_utime + usage.ru_stime,
        }

    def render(self, processes: Mapping[str, Snapshot] | None = None) -> tuple[bytes, str]:
        """The exposition text and its content type: of this process, or of several, by their names."""
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        if processes is None:
            ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Collector(self, processes))
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def families(self, processes: Mapping[str, Snapshot] | None = None) -> Iterator[Any]:
        """Everything counted so far, as Prometheus knows it. Of several processes each has series of its own, since one may begin anew."""
        more = [] if processes is None else ["process"]
        shown = [([], self.snapshot())] if processes is None else [([name], snapshot) for name, snapshot in sorted(processes.items())]
        yield from _answered(shown, more)
        yield from self._labelled(shown, more)
        yield from self._read(shown, more)

    def _labelled(self, shown: Shown, more: list[str]) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        wanted: list[tuple[Any, str, str, str, tuple[str, ...]]] = [
            *((CounterMetricFamily, "counters", name, about, labels) for name, (about, labels, _) in sorted(self._counters.items())),
            *((GaugeMetricFamily, "gauges", name, about, labels) for name, (about, labels, _) in sorted(self._gauges.items())),
        ]
        for kind, part, name, about, labels in wanted:
            family = kind(f"mbaas_{name}", about, labels=[*labels, *more])
            for which, snapshot in shown:
                for values, value in snapshot[part].get(name, ()):
                    family.add_metric([*values, *which], value)
            yield family

    def _read(self, shown: Shown, more: list[str]) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        for name, (about, _) in sorted(self._tallies.items()):
            family = CounterMetricFamily(f"mbaas_{name}", about, labels=more)
            for which, snapshot in shown:
                if name in snapshot["tallies"]:
                    family.add_metric(which, snapshot["tallies"][name])
            yield family
        if more:
            spent = CounterMetricFamily("process_cpu_seconds", "Processor time", labels=more)
            for which, snapshot in shown:
                spent.add_metric(which, snapshot["cpu"])
            yield spent


def _answered(shown: Shown, more: list[str]) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    requests = CounterMetricFamily("mbaas_http_requests", "Answered requests", labels=["route", "status", *more])
    latency = HistogramMetricFamily("mbaas_http_request_seconds", "Time to answer", labels=["route", *more])
    for which, snapshot in shown:
        for route, status, row in snapshot["requests"]:
            requests.add_metric([route, str(status), *which], sum(row[:-1]))
        for route, total in _by_route(snapshot["requests"]).items():
            latency.add_metric([route, *which], buckets=_cumulative(total), sum_value=total[-1])
    yield requests
    yield latency


class _Collector:
    """Prometheus' side of `Metrics`."""

    def __init__(self, metrics: Metrics, processes: Mapping[str, Snapshot] | None) -> None:
        self._metrics, self._processes = metrics, processes

    def collect(self) -> Iterator[Any]:
        return self._metrics.families(self._processes)


def _by_route(rows: Iterable[tuple[str, int, list[float]]]) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {}
    for route, _, row in rows:
        out[route] = [a + b for a, b in zip(out.get(route, [0.0] * len(row)), row, strict=True)]
    return out


def _cumulative(row: list[float]) -> list[tuple[str, float]]:
    total, out = 0.0, []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], row[:-1], strict=True):
        total += count
        out.append((bound, total))
    return out
