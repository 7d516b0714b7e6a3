"""Workflows that stand at a gate while processes die: what was done stays done, and the decision is found."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import pytest
from dbos import DBOSClient, DBOSPortableJSONSerializer

from bot.client import Client
from tests.support import command
from tests.support.process import serving
from tests.support.product import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.process import Server

pytestmark = pytest.mark.measured

PATIENCE = 30.0  # processes start meanwhile


class Worker:
    """A process that runs workflows, until it is killed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begin(self, workflow: str, run_id: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{workflow} {run_id}\n".encode())
        await self._process.stdin.drain()

    async def dies(self) -> None:
        """Wait for its death."""
        await asyncio.wait_for(self._process.wait(), PATIENCE)

    async def kill(self) -> None:
        """`kill -9`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Place:
    """A database of runs, the log of what their steps did, and the workers that were started on it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self._log = folder / "steps.log"
        self._workers: list[Worker] = []

    async def worker(self, server: Server, **env: str) -> Worker:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.workflow_worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=command.environment(
                ASSENT_URL=server.url,
                ASSENT_API_KEY=KEY,
                ASSENT_WORKFLOWS_URL=self.url,
                WORKER_LOG=str(self._log),
                **env,
            ),
        )
        worker = Worker(process)
        self._workers.append(worker)
        assert process.stdout
        said = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert said == b"launched\n" or "WORKER_DIES_AT" in env
        return worker

    async def done(self, line: str) -> list[str]:
        """Wait until a step has written this line; return all lines."""
        return await until(lambda: (lines := self.lines()) and line in lines and lines)

    def lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []

    async def end(self) -> None:
        for worker in self._workers:
            await worker.kill()


async def until(found: Callable[[], Any]) -> Any:
    """Wait until something is found, and return it."""
    async with asyncio.timeout(PATIENCE):
        while not (what := found()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    return what


async def pending(server: Server, count: int) -> dict[str, str]:
    """Wait until runs stand at so many gates; return their requests by title, each of which exists once."""
    async with asyncio.timeout(PATIENCE):
        while len(items := await requests(server, status="pending")) < count:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
    assert len(items) == count
    return {item["labels"]["run"]: item["id"] for item in items}


async def requests(server: Server, **params: str) -> list[Any]:
    items: list[Any] = (await server.call("GET", "/v1/requests", params=params)).json["items"]
    return items


def approve(database_url: str, request: str, reason: str) -> None:
    """Answer straight on the database."""
    with Client(database_url) as client:
        client.approve(request, reason=reason)


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Callable[[str], Place]]:
    """Make places of runs; their workers end with the test."""
    made: list[Place] = []

    def make(url: str) -> Place:
        made.append(Place(tmp_path, url))
        return made[-1]

    yield make
    for place in made:
        await place.end()


async def test_runs_go_on_whoever_died_first(
    sqlite_url: str, tmp_path: Path, places: Callable[[str], Place]
) -> None:
    place = places(f"sqlite:///{tmp_path / 'workflows.db'}")
    async with serving(sqlite_url) as server:
        first = await place.worker(server)
        await first.begin("refund", "a")
        await first.begin("refund", "b")
        await first.begin("slow", "c")
        gates = await pending(server, 2)
        await place.done("c dawdles")

        await first.kill()
        await server.kill()
        await asyncio.to_thread(approve, sqlite_url, gates["a"], "while both were down")

        second = await place.worker(server, WORKER_VERSION="2")
        await second.begin("refund", "d")
        await place.done("c ends")
        await place.done("d checks")
        await server.start()
        await place.done("a pays, said while both were down")
        await place.done("d looks")
        await pending(server, 2)

        await server.kill()
        await second.kill()
        await server.start()
        await server.answer({"id": gates["b"]}, "approve", reason="while it was down")
        await place.worker(server, WORKER_VERSION="2")
        lines = await place.done("b pays, said while it was down")

        assert len(await requests(server)) == 3
    once = ["a looks", "b looks", "c looks", "d looks", "a checks", "b checks", "d checks", "c ends"]
    assert [lines.count(line) for line in once] == [1] * len(once)
    assert lines.count("c dawdles") == 2  # the step that was cut off


async def test_another_process_takes_over_for_good(postgres_url: str, places: Callable[[str], Place]) -> None:
    place = places(postgres_url)  # the runs share the database of Assent
    async with serving(postgres_url) as server:
        doomed = await place.worker(server)
        await doomed.begin("refund", "a")
        await doomed.begin("slow", "b")
        gates = await pending(server, 1)
        await place.done("b dawdles")
        await place.worker(server, WORKER_VERSION="2")

        await server.kill()
        await doomed.kill()
        await asyncio.to_thread(approve, postgres_url, gates["a"], "while it was down")
        await server.start()

        await place.done("a pays, said while it was down")
        lines = await place.done("b ends")
        assert len(await requests(server)) == 1
    assert [lines.count(line) for line in ("a looks", "b looks", "b dawdles")] == [1, 1, 2]


async def test_it_joins_the_engine_that_a_process_has(
    sqlite_url: str, tmp_path: Path, places: Callable[[str], Place]
) -> None:
    place = places(f"sqlite:///{tmp_path / 'theirs.db'}")
    async with serving(sqlite_url) as server:
        old = await place.worker(server, WORKER_JOIN="their version 1")
        await old.begin("refund", "a")
        await old.begin("slow", "b")
        gates = await pending(server, 1)
        await place.done("b dawdles")
        await old.kill()
        await place.worker(server, WORKER_JOIN="their version 2", WORKER_VERSION="2")
        await server.answer({"id": gates["a"]}, "approve", reason="yes")
        await place.done("a pays, said yes")
        lines = await place.done("b ends")
    assert lines.count("a looks") == lines.count("b looks") == 1


@pytest.mark.parametrize(
    ("engine", "deaths"),
    [
        ({}, ["before enqueue 2", "after resume_workflow 1"]),
        ({}, ["before enqueue 2", "before cancel_workflow 1"]),
        ({"WORKER_JOIN": "their version"}, ["after enqueue 2"]),
    ],
)
async def test_processes_die_amid_a_pause_and_a_take_over(
    sqlite_url: str,
    tmp_path: Path,
    places: Callable[[str], Place],
    engine: dict[str, str],
    deaths: list[str],
) -> None:
    place = places(f"sqlite:///{tmp_path / 'workflows.db'}")
    async with serving(sqlite_url) as server:
        for number, death in enumerate(deaths):
            doomed = await place.worker(server, WORKER_DIES_AT=death, **engine)
            if number == 0:
                await doomed.begin("refund", "a")
            await doomed.dies()
        gates = await pending(server, 1)
        await server.answer({"id": gates["a"]}, "approve", reason="yes")
        await place.worker(server, **engine)
        await place.done("a pays, said yes")
        assert await settled(place) == ["a looks", "a pays, said yes"]


async def settled(place: Place) -> list[str]:
    """Wait until no row is left to run, and return what the steps did."""
    rows = DBOSClient(system_database_url=place.url, serializer=DBOSPortableJSONSerializer())
    try:
        await until(lambda: not rows.list_workflows(status=["ENQUEUED", "PENDING", "DELAYED"]))
    finally:
        rows.destroy()
    return place.lines()
