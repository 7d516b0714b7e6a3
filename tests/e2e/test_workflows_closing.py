"""An engine is closed while steps are under way, and another is launched on its database."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import pytest
from dbos import DBOS

from bot.client import Client
from bot.workflows import Ctx, Durable, SyncCtx
from bot.workflows import row_runner as attempts_module
from bot.workflows.executors import executors_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.measured

PATIENCE = 20.0


def test_a_step_that_is_under_way_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempts_module, "PATIENCE", 0.2)
    url, called, begun, told = f"sqlite:///{tmp_path}/runs.db", [], Event(), Event()

    def pay() -> None:
        called.append("pay")
        begun.set()
        told.wait(PATIENCE)

    def launched(client: Client) -> Durable:
        app = Durable(client, url)

        @app.workflow("pays")
        def pays(ctx: SyncCtx, _: None) -> str:
            ctx.step("pay", pay)
            ctx.step("tell", called.append, "tell")
            return "done"

        return app.launch()

    with Client("http://127.0.0.1:1", "none") as client, ThreadPoolExecutor(1) as thread:
        app = launched(client)
        run = app.start("pays")
        assert begun.wait(PATIENCE)
        closes = thread.submit(app.close)
        while "waiting for what is under way in" not in caplog.text:
            assert not closes.done()
        with closing(executors_of(url)) as others, others.bury(*executors(tmp_path)) as dead:
            assert not dead
        told.set()
        closes.result(PATIENCE)
        assert (called, executors(tmp_path)) == (["pay"], [])
        with closing(launched(client)) as app:
            assert app.result(run, PATIENCE) == "done"
    assert called == ["pay", "tell"]


async def test_an_engine_that_was_joined_goes_on_until_steps_are_done(tmp_path: Path) -> None:
    url, called, told = f"sqlite:///{tmp_path}/runs.db", [], asyncio.Event()

    async def pay() -> str:
        called.append("pay")
        await told.wait()
        return "paid"

    DBOS(config={"name": "theirs", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()  # on this event loop
    with Client("http://127.0.0.1:1", "none") as client:
        app = Durable(client, url, name="theirs")

        @app.workflow("pays")
        async def pays(ctx: Ctx, _: None) -> str:
            return await ctx.step("pay", pay)

        app.launch()
        run = app.start("pays")
        async with asyncio.timeout(PATIENCE):
            while not called:  # noqa: ASYNC110 - a handler does it
                await asyncio.sleep(0.02)
        with pytest.raises(RuntimeError, match="close\\(\\) waits for steps that run on this event loop"):
            app.close()
        closing = asyncio.create_task(asyncio.to_thread(app.close))
        await asyncio.sleep(0)
        told.set()
        await closing
        app.launch()
        assert await asyncio.to_thread(app.result, run, PATIENCE) == "paid"
        await asyncio.to_thread(app.close)
    await asyncio.to_thread(DBOS.destroy)
    assert called == ["pay"]


def executors(folder: Path) -> list[str]:
    return [path.name for path in (folder / "runs.db.executors").iterdir()]


def test_two_applications_share_a_database(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1", "none") as client:
        for name in ("one", "two"):
            app = Durable(client, f"sqlite:///{tmp_path}/runs.db", name=name)
            app.workflow("says")(says)
            with app:
                assert app.result(app.start("says", name, run_id=f"of-{name}"), PATIENCE) == name
                if name == "two":
                    with pytest.raises(
                        ValueError, match="the run id 'of-one' is taken by another application"
                    ):
                        app.start("says", name, run_id="of-one")


def says(_: SyncCtx, name: str) -> str:
    return name
