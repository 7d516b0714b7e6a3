"""Who tries keys out is slowed down; who has a key never is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import RateLimited
from bot.web.calls import auth

if TYPE_CHECKING:
    from tests.support.product import Product


async def test_failures_are_limited_and_calls_with_a_key_are_not(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(auth.time, "monotonic", lambda: now)
    wrong = {"Authorization": "Bearer wrong"}
    statuses = [
        (await product.call("GET", "/v1/pending", headers=wrong)).status for _ in range(auth.MAX_FAILURES + 1)
    ]
    assert statuses == [401] * auth.MAX_FAILURES + [429]
    refused = await product.call("GET", "/v1/events", headers={"Authorization": ""})
    assert (refused.status, refused.json["code"], refused.headers["Retry-After"]) == (
        429,
        "rate_limited",
        "1",
    )
    assert (await product.call("GET", "/v1/pending")).status == 200
    now += 1
    assert (await product.call("GET", "/v1/pending", headers=wrong)).status == 401
    assert (await product.call("GET", "/v1/pending", headers=wrong)).status == 429


def test_addresses_are_limited_apart_and_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(auth, "MAX_FAILURES", 1)
    monkeypatch.setattr(auth, "MAX_ADDRESSES", 2)
    failures = auth.Failures()
    failures.add("a")
    failures.add("b")
    with pytest.raises(RateLimited):
        failures.add("a")
    failures.add("c")
    failures.add("a")
