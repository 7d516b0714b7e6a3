"""Somebody who is asked by mail and answers: the person in the loop of a test."""

from __future__ import annotations

import contextlib
import runpy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.sandbox.mail.relay import Mailbox
from tests.support.command import CHECKOUT
from tests.support.documents import blocks
from tests.support.product import Json, Product, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Person:
    """Whoever is asked as `selector`; a product whose mails the person reads."""

    product: Product
    mailbox: Mailbox
    address: str

    @property
    def selector(self) -> str:
        return f"email:{self.address}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to ask this person."""
        return {
            "ASSENT_URL": self.product.url,
            "ASSENT_API_KEY": self.product.key,
            "ASSENT_AUDIENCE": self.selector,
            "ASSENT_DEFAULT_AUDIENCE": self.selector,
        }

    async def asked(self) -> Json:
        """The request that the next mail is about."""
        await self.mailbox.next_message(self.address)
        [request] = await self.requests(status="pending")
        return request

    async def answers(self, decision: str, **members: Json) -> Json:
        """Answer the next request, which is then final, and return what was asked."""
        request = await self.asked()
        answer = await self.product.answer(request, decision, self.address, **members)
        assert answer.status == 200, answer.text
        assert answer.json["status"] != "pending"
        return request

    async def requests(self, **filters: str) -> list[Json]:
        """What this person was ever asked, newest first."""
        query = {"respondent": self.selector, **filters}
        items: list[Json] = (await self.product.call("GET", "/v1/requests", params=query)).json["items"]
        return items


@contextlib.asynccontextmanager
async def office(database_url: str, **settings: str) -> AsyncIterator[tuple[Product, Mailbox]]:
    """The running product and its mail relay."""
    async with Mailbox() as mailbox, running(database_url, mailbox=mailbox, **settings) as product:
        yield product, mailbox


def run_snippet(section: str, **names: Any) -> dict[str, Any]:
    """Run the documents' Python of a section, where `names` are known, and return all names known then."""
    [script] = blocks("python", section)
    exec(compile(script, f"documents: {section}", "exec"), names)
    return names


def run_example(name: str) -> None:
    """Run a script of `examples/` in this process; call it in a thread, as it blocks."""
    runpy.run_path(str(CHECKOUT / "examples" / name), run_name="__main__")
