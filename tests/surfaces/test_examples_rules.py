"""The examples of the rules of people, each with somebody who is asked by mail and answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.person import Person, office, run_example

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.sandbox.mail.relay import Mailbox
    from tests.support.product import Product

    Office = tuple[Product, Mailbox]


@pytest.fixture
async def here(sqlite_url: str) -> AsyncIterator[Office]:
    async with office(sqlite_url) as here:
        yield here


@pytest.fixture
def asked_as(here: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Person]]:
    """People by name, whom the example will ask."""

    def people(*names: str) -> list[Person]:
        found = [Person(*here, f"{name}@example.com") for name in names]
        for name, value in found[0].environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ASSENT_AUDIENCE", ",".join(person.selector for person in found))
        return found

    return people


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the example printed; the product, in the same process, logs between."""
    return [line for line in capsys.readouterr().out.splitlines() if " action=" not in line]


@contextlib.asynccontextmanager
async def example(name: str) -> AsyncIterator[None]:
    """The example runs meanwhile, and ends well."""
    async with asyncio.timeout(30):
        running = asyncio.create_task(asyncio.to_thread(run_example, name))
        yield
        await running


async def test_levels(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    (ana,) = asked_as("ana")
    async with example("levels.py"):
        await ana.mailbox.next_message(ana.address)
        await ana.answers("approve")
        wrong = await ana.asked()
        assert (await ana.product.answer(wrong, "approve", ana.address, phrase="delete prod")).status == 422
        await ana.product.answer(wrong, "reject", ana.address, reason="Not on a Friday")
    told, asked, typed = printed(capsys)
    assert (told, asked) == ("approved", "sent")
    assert "Not on a Friday" in typed


async def test_steps(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    (ana,) = asked_as("ana")
    async with example("steps.py"):
        for step in ("Team", "Finance"):
            request = await ana.asked()
            assert request["step"]["name"] == step
            assert (await ana.product.answer(request, "approve", ana.address)).status == 200
    assert printed(capsys) == ["approved by ana@example.com"]


async def test_edit(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    (ana,) = asked_as("ana")
    async with example("edit.py"):
        await ana.answers("approve", values={"amount": 900})
    assert printed(capsys) == ["refunding €900 for 5531", "as changed"]


async def test_feedback(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    ana, ben = asked_as("ana", "ben")
    async with example("feedback.py"):
        request = await ana.asked()
        await ana.product.answer(
            request, "approve", ana.address, values={"score": 1, "comment": "To the point"}
        )
        await ben.answers("approve", values={"score": 0.5})
    assert printed(capsys) == ["helpfulness: 0.75 from 2; ['To the point']"]


async def test_quorum(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    sec, one, two = asked_as("sec", "one", "two")
    async with example("quorum.py"):
        request = await two.asked()
        for person in (sec, one, two):
            assert (await person.product.answer(request, "approve", person.address)).status == 200
    first, last = printed(capsys)
    assert first.startswith("0 of 1 from example-security (waiting: ")
    assert last == "approved by sec@example.com, one@example.com and two@example.com"


async def test_escalation(asked_as: Callable[..., list[Person]], capsys: pytest.CaptureFixture[str]) -> None:
    ana, boss = asked_as("ana", "boss")
    async with example("escalation.py"):
        request = await ana.asked()
        body = {"respondent": ana.selector, "reason": "Above my limit"}
        climbed = await ana.product.call("POST", f"/v1/requests/{request['id']}/escalate", json=body)
        assert climbed.status == 200
        await boss.answers("approve")
    assert printed(capsys) == ["audience → level 1: Above my limit", "approved by boss@example.com"]
