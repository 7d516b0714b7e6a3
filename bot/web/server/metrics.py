"""`GET /metrics`: what this process did, and what waits in the database, as Prometheus text.

Labels hold route patterns, methods, statuses and surfaces: never a path, an id, an address or a key.
"""

from __future__ import annotations

import collections
import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bot import __version__
from bot.domain.errors import Unavailable
from bot.domain.model.request import Status
from bot.web.calls.operation import operation

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, math.inf)
"""Bounds of the histogram, in seconds; 60 is the longest wait."""

Happened = Callable[[], Mapping[tuple[str, str], int]]
"""How often each type of audit event was committed by this process, by the request's status after it."""

Load = Callable[[], Awaitable[tuple[int, int]]]
"""How many requests are pending, and how many deliveries wait to be sent; raises `Unavailable`."""


class Metrics:
    """Counts answers and deliveries as they happen, and looks everything else up when it is asked."""

    def __init__(self, happened: Happened, load: Load) -> None:
        self._load = load
        self._registry = registry = CollectorRegistry()
        self._deliveries = Counter(
            "assent_deliveries", "Attempts to deliver.", ("surface", "result"), registry=registry
        )
        self._pending = Gauge("assent_requests_pending", "Requests that wait for people.", registry=registry)
        self._queued = Gauge(
            "assent_deliveries_queued", "Deliveries that wait to be sent.", registry=registry
        )
        Info("assent_build", "What runs here.", registry=registry).info({"version": __version__})
        self._answers = _Answers()
        registry.register(self._answers)
        registry.register(_Requests(happened))
        ProcessCollector(registry=registry)

    def delivered(self, surface: str, result: str) -> None:
        """Count one attempt to deliver."""
        self._deliveries.labels(surface, result).inc()

    def answered(self, request: web.Request, status: int, seconds: float) -> None:
        """Count and time one answer."""
        route = request.match_info.route
        pattern = route.resource.canonical if route.resource else "none"
        if request.query_string and "wait" in request.query:
            pattern += "?wait"
        self._answers.add(route.method, pattern, status, seconds)

    @operation(
        method="GET",
        path="/metrics",
        id="metrics",
        tag="server",
        summary="What was done here, and what waits, for Prometheus",
        key=False,
        media="text/plain",
        answers={200: ("Prometheus text.", str)},
    )
    async def show(self, _http: web.Request) -> web.Response:
        """What Prometheus reads."""
        waiting: tuple[float, float] = (math.nan, math.nan)
        with suppress(Unavailable):
            waiting = await self._load()
        for gauge, value in zip((self._pending, self._queued), waiting, strict=True):
            gauge.set(value)
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )


class _Answers(Collector):
    """Counts answers by method, route and status, and how long they took by method and route.

    Every call is counted; the library's own counters, which take locks, would be a tenth of the work of a short one.
    """

    def __init__(self) -> None:
        self._answers: collections.Counter[tuple[str, str, int]] = collections.Counter()
        self._seconds: dict[tuple[str, str], float] = collections.defaultdict(float)
        self._within: dict[tuple[str, str], list[int]] = collections.defaultdict(lambda: [0] * len(BUCKETS))

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._answers[method, route, status] += 1
        self._seconds[method, route] += seconds
        self._within[method, route][bisect_left(BUCKETS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        """The counter and the histogram as they stand."""
        answers = CounterMetricFamily(
            "assent_http_requests", "HTTP requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self._answers.items():
            answers.add_metric((method, route, str(status)), count)
        yield answers
        times = HistogramMetricFamily(
            "assent_http_request_duration_seconds",
            "Time to the answer; calls that wait for an outcome have a route of their own.",
            labels=("method", "route"),
        )
        for labels, counts in self._within.items():
            buckets = list(zip(map(floatToGoString, BUCKETS), accumulate(counts), strict=True))
            times.add_metric(labels, buckets, self._seconds[labels])
        yield times


class _Requests(Collector):
    """Requests opened and resolved, out of what the store counted."""

    def __init__(self, happened: Happened) -> None:
        self._happened = happened

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The two counters as they stand."""
        happened = self._happened()
        opened = sum(count for (kind, _), count in happened.items() if kind == "request.created")
        yield CounterMetricFamily("assent_requests_opened", "Requests opened by this process.", value=opened)
        resolved = CounterMetricFamily(
            "assent_requests_resolved", "Requests resolved by this process, by outcome.", labels=("status",)
        )
        for status in Status:
            if status.final:
                resolved.add_metric((status.value,), happened.get(("request.resolved", status.value), 0))
        yield resolved
