"""`GET /metrics`: what this process did, and what waits in the database, as Prometheus text.

Labels hold route patterns, methods, statuses and surfaces: never a path, an id, an address or a key.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from bot import __version__
from bot.domain.errors import Unavailable
from bot.domain.request import Status

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
"""Bounds of the histogram; 60 s is the longest wait."""

Happened = Callable[[], Mapping[tuple[str, str], int]]
"""How often each type of audit event was committed by this process, by the request's status after it."""

Load = Callable[[], Awaitable[tuple[int, int]]]
"""How many requests are pending, and how many deliveries wait to be sent; raises `Unavailable`."""


class Metrics:
    """Counts answers and deliveries as they happen, and looks everything else up when it is asked."""

    def __init__(self, happened: Happened, load: Load) -> None:
        self._load = load
        self._registry = registry = CollectorRegistry()
        self._answers = Counter(
            "assent_http_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "assent_http_request_duration_seconds",
            "Time to the answer; calls that wait for an outcome have a route of their own.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self._deliveries = Counter(
            "assent_deliveries", "Attempts to deliver.", ("surface", "result"), registry=registry
        )
        self._pending = Gauge("assent_requests_pending", "Requests that wait for people.", registry=registry)
        self._queued = Gauge(
            "assent_deliveries_queued", "Deliveries that wait to be sent.", registry=registry
        )
        Info("assent_build", "What runs here.", registry=registry).info({"version": __version__})
        registry.register(_Requests(happened))
        ProcessCollector(registry=registry)
        self._series = cache(self._new_series)

    def routes(self) -> list[web.RouteDef]:
        """The page that Prometheus reads; it needs no key."""
        return [web.get("/metrics", self._show)]

    def delivered(self, surface: str, result: str) -> None:
        """Count one attempt to deliver."""
        self._deliveries.labels(surface, result).inc()

    def answered(self, request: web.Request, status: int, seconds: float) -> None:
        """Count and time one answer."""
        route = request.match_info.route
        pattern = route.resource.canonical if route.resource else "none"
        if request.query_string and "wait" in request.query:
            pattern += "?wait"
        answers, histogram = self._series(route.method, pattern, status)
        answers.inc()
        histogram.observe(seconds)

    def _new_series(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._answers.labels(method, route, status), self._seconds.labels(method, route)

    async def _show(self, _http: web.Request) -> web.Response:
        waiting: tuple[float, float] = (math.nan, math.nan)
        with suppress(Unavailable):
            waiting = await self._load()
        for gauge, value in zip((self._pending, self._queued), waiting, strict=True):
            gauge.set(value)
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )


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
