"""PostgreSQL through a pooler, by several hosts, by sockets, and after its connections were lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from bot.domain.errors import Unavailable
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.events import Operate
from bot.domain.model.request import Surface
from bot.store import migrations
from bot.store.database.engine import postgres_of
from bot.store.queries.snapshot import SqlReader
from tests.store.conftest import opened
from tests.support.asking import asked, somebody
from tests.support.pgbouncer import pooled
from tests.support.product import running
from tests.support.storing import happen, save, stored

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from bot.store import SqlStore

ANA = somebody("ana")
REJECT = Operate(answer=ResponseInput(decision="reject", reason=None), by="x", surface=Surface.CLI)
KEY = "k" * 32


def by_transaction(store: SqlStore) -> bool:
    reached = postgres_of(store._engine)
    assert reached
    return reached.by_transaction


async def work(here: SqlStore, there: SqlStore) -> None:
    """Two replicas write and read, many at once; nothing is lost, and each hears of the other soon."""
    await asyncio.gather(
        *(save((here, there)[n % 2], asked(ANA, request_id=f"req_{n}")) for n in range(60)),
        *(here.run_read(lambda c: c.scalar(sa.text("SELECT 1"))) for _ in range(20)),
    )
    for n in range(3):
        with there.watch(f"req_{n}") as watch:
            waiting = asyncio.create_task(watch.changed(5))
            await happen(here, f"req_{n}", REJECT)
            began = asyncio.get_running_loop().time()
            await waiting
            assert asyncio.get_running_loop().time() - began < 2
        assert (await stored(there, f"req_{n}")).status.final
    assert await here.run_read(lambda c: SqlReader(c).verify_chain()) == (63, None)
    assert await here.check() is None


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_a_pooler_works_without_a_setting_of_its_own(
    postgres_url: str, mode: str, logged: list[EventDict]
) -> None:
    with pooled(postgres_url, mode) as url:
        migrations.upgrade(url)
        async with opened(url, KEY) as here, opened(url, KEY) as there:
            assert by_transaction(here) is by_transaction(there) is (mode == "transaction")
            await work(here, there)
    told = [entry["action"] for entry in logged if entry["log_level"] == "warning"]
    assert told.count("store.pooled") == (2 if mode == "transaction" else 0)


async def test_a_pooler_by_transaction_is_known_however_busy_it_is(postgres_url: str) -> None:
    migrations.upgrade(postgres_url)
    with pooled(postgres_url, "transaction", size=5) as url:
        async with opened(url) as busy:
            queries = [
                asyncio.create_task(
                    busy.run_read(lambda c: c.execute(sa.text("SELECT pg_sleep(0.01)")).all())
                )
                for _ in range(60)
            ]
            async with opened(url) as store:
                assert by_transaction(store)
            await asyncio.gather(*queries)


async def test_a_pooler_by_statement_is_refused_in_words(postgres_url: str) -> None:
    migrations.upgrade(postgres_url)
    with pooled(postgres_url, "statement") as url, pytest.raises(Unavailable, match="statement mode"):
        async with opened(url):
            pass


async def test_a_whole_server_works_behind_a_pooler_by_transaction(postgres_url: str) -> None:
    with pooled(postgres_url, "transaction") as url:
        async with running(url) as product, running(url) as other:
            request = await product.submit()
            waiting = asyncio.create_task(other.call("GET", f"/v1/requests/{request['id']}?wait=10"))
            await product.answer(request, "approve", "ana@example.com")
            assert (await waiting).json["status"] == "approved"
            assert (await product.call("GET", "/readyz")).status == 200


async def test_lost_connections_are_made_anew(postgres_url: str) -> None:
    migrations.upgrade(postgres_url)
    async with opened(postgres_url, KEY) as store:
        await save(store, asked(ANA, request_id="req_0"))
        for n in range(1, 4):
            with psycopg.connect(postgres_url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await asyncio.gather(
                save(store, asked(ANA, request_id=f"req_{n}")),
                store.run_write(lambda c: c.execute(sa.text("UPDATE groups SET members = '[]'"))),
                *(stored(store, "req_0") for _ in range(8)),
            )
        assert await store.run_read(lambda c: SqlReader(c).verify_chain()) == (4, None)


async def test_several_hosts_are_tried_in_turn(postgres_url: str, unused_tcp_port: int) -> None:
    place = postgres_url.partition("@")[2].partition("/")[0]
    several = f"127.0.0.1:{unused_tcp_port},{place}"
    url = postgres_url.replace(place, several) + "?target_session_attrs=read-write&connect_timeout=3"
    migrations.upgrade(url)
    assert migrations.check(url)
    async with opened(url, KEY) as store:
        await save(store, asked(ANA))
        assert (await stored(store, "req_1")).id == "req_1"


async def test_after_a_failover_the_host_that_takes_writes_is_found(postgres_url: str) -> None:
    """What was the primary takes no writes any more, though its connections live on."""
    migrations.upgrade(postgres_url)
    async with opened(f"{postgres_url}?target_session_attrs=read-write", KEY) as store:
        await save(store, asked(ANA))
        await store.run_write(lambda c: c.execute(sa.text("SET default_transaction_read_only = on")))
        for _ in range(3):  # the connection that says no is given up, and another one is asked
            await store.run_write(lambda c: c.execute(sa.text("UPDATE groups SET members = '[]'")))
        assert await store.check() is None
