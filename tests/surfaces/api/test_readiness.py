"""`/readyz` where nothing can be written: 503 with the cause, and ready again by itself."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import psycopg

from bot.store import migrations, probe
from bot.store.database import engine
from bot.store.database.engine import open_engine
from bot.store.probe import LATE, Probe
from tests.support.product import running

if TYPE_CHECKING:
    import pytest

    from tests.support.product import Answer, Product


async def ready(product: Product, status: int) -> Answer:
    """What it answers once it has this status: within five seconds, the probe's memory included."""
    async with asyncio.timeout(5):
        while (answer := await product.call("GET", "/readyz")).status != status:  # noqa: ASYNC110 - a database says it
            await asyncio.sleep(0.05)
    return answer


async def refused(product: Product) -> Answer:
    answer = await product.call(
        "POST", "/v1/requests", json={"title": "Late", "audience": ["email:ana@example.com"]}
    )
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    return answer


def read_only(url: str, database: str, *, on: bool) -> None:
    """Let a database take no writes, and end whoever was connected before."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            f"ALTER DATABASE {database} SET default_transaction_read_only = {'on' if on else 'off'}".encode()
        )
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (database,),
        )


async def test_a_database_that_is_read_only(postgres_url: str) -> None:
    base, _, database = postgres_url.rpartition("/")
    async with running(postgres_url) as product:
        before = await product.submit()
        await ready(product, 200)
        read_only(f"{base}/postgres", database, on=True)
        answer = await ready(product, 503)
        assert answer.json["checks"]["database"].startswith("the database is read-only just now")
        assert "is read-only just now" in (await refused(product)).json["detail"]
        read_only(f"{base}/postgres", database, on=False)
        await ready(product, 200)
        after = await product.submit()
        assert (await product.get(before))["status"] == (await product.get(after))["status"] == "pending"


async def test_a_disk_that_is_full(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PRAGMAS", (*engine.PRAGMAS, "max_page_count=80"))
    async with running(sqlite_url) as product:
        accepted = []
        body = {"title": "Fill", "audience": ["email:ana@example.com"], "message": "x" * 2_000}
        async with asyncio.timeout(20):
            while (answer := await product.call("POST", "/v1/requests", json=body)).status == 201:
                accepted.append(answer.json)
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert "disk of the database is full" in answer.json["detail"]
        assert accepted
        assert (await ready(product, 503)).json["checks"]["database"] == "the disk of the database is full"
        assert [(await product.get(request))["status"] for request in accepted] == ["pending"] * len(accepted)
        monkeypatch.setattr(engine, "PRAGMAS", engine.PRAGMAS[:-1])
        await ready(product, 200)
        assert (await product.call("POST", "/v1/requests", json=body)).status == 201


async def test_a_file_that_is_read_only(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.upgrade(sqlite_url)
    monkeypatch.setattr(engine, "PRAGMAS", (*engine.PRAGMAS, "query_only=ON"))
    opened = open_engine(sqlite_url)
    assert await Probe(opened).check() == "the database is read-only just now: nothing can be written to it"
    opened.dispose()


async def test_one_that_does_not_answer_is_said_in_time(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.upgrade(sqlite_url)
    monkeypatch.setattr(probe, "PATIENCE", 0.3)
    holding, opened = open_engine(sqlite_url), open_engine(sqlite_url)
    looking = Probe(opened)
    with engine.for_writing(holding).begin():
        began = time.monotonic()
        assert await asyncio.gather(looking.check(), looking.check()) == [LATE, LATE]
        assert time.monotonic() - began < 2
    async with asyncio.timeout(12):
        while await looking.check():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    holding.dispose()
    opened.dispose()


async def test_it_looks_once_for_many_and_seldom(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.upgrade(sqlite_url)
    opened = open_engine(sqlite_url)
    looking, looks = Probe(opened), []
    look = looking._look
    monkeypatch.setattr(looking, "_look", lambda: (looks.append(1), look())[1])
    for _ in range(3):
        assert await asyncio.gather(*(looking.check() for _ in range(20))) == [None] * 20
    assert len(looks) == 1
    opened.dispose()
