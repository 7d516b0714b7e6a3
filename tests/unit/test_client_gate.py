"""A gated function runs with what was approved and nothing else, and not at all in every other case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.client import BadEdit, Cancelled, Expired, NotApproved, Rejected, Unsendable, require_approval
from bot.client.testing import (
    Chosen,
    OfflineAsyncClient,
    OfflineClient,
    approve,
    cancel,
    edit,
    expire,
    reject,
    skip,
)

if TYPE_CHECKING:
    from bot.client.testing import Offline

pytest_plugins = ["bot.pytest_plugin"]

ANA = ["email:ana@example.com"]


def test_a_function_runs_with_the_arguments_as_people_edited_them() -> None:
    client = OfflineClient(edit("less is enough", amount=900))

    @require_approval(audience=ANA, client=client, details={"Order": "5531"})
    def refund_customer(customer: str, amount: int, *, note: str = "") -> tuple[str, int, str]:
        """Pay back."""
        return customer, amount, note

    assert refund_customer("8841", 1250) == ("8841", 900, "")
    [asked] = client.offline.asked
    assert (asked.title, asked.payload) == ("Refund customer", {"customer": "8841", "amount": 1250})
    assert (asked.audience, asked.details) == (ANA, {"Order": "5531"})
    assert (refund_customer.__name__, refund_customer.__doc__) == ("refund_customer", "Pay back.")


def test_a_method_runs_on_its_object_which_is_not_sent() -> None:
    client = OfflineClient([edit(amount=900), approve(), edit(self="another")])

    class Till:
        @require_approval(audience=ANA, client=client)
        def refund(self, amount: int) -> tuple[Till, int]:
            return self, amount

        @classmethod
        @require_approval(audience=ANA, client=client)
        def close(cls, at: str) -> tuple[type[Till], str]:
            return cls, at

    till = Till()
    assert till.refund(1250) == (till, 900)
    assert Till.close("18:00") == (Till, "18:00")
    assert [asked.payload for asked in client.offline.asked] == [{"amount": 1250}, {"at": "18:00"}]
    with pytest.raises(BadEdit, match="'self'"):
        till.refund(1)


async def test_an_async_function_runs_likewise() -> None:
    client = OfflineAsyncClient(edit(region="eu", force=True))

    @require_approval(audience=ANA, client=client, title="Deploy it?")
    async def deploy(version: str, **options: Any) -> dict[str, Any]:
        return {"version": version, **options}

    assert await deploy("4.2", region="us") == {"version": "4.2", "region": "eu", "force": True}
    [asked] = client.offline.asked
    assert (asked.title, asked.payload) == ("Deploy it?", {"version": "4.2", "region": "us"})


@pytest.mark.parametrize(
    ("chosen", "error"),
    [(reject("too much"), Rejected), (skip(), Rejected), (expire(), Expired), (cancel(), Cancelled)],
)
def test_a_function_does_not_run_unless_it_was_approved(chosen: Chosen, error: type[NotApproved]) -> None:
    ran: list[int] = []

    @require_approval(audience=ANA, client=OfflineClient(chosen))
    def refund(amount: int) -> None:
        ran.append(amount)

    with pytest.raises(error) as caught:
        refund(1)
    assert caught.value.outcome.reason == chosen.reason
    assert ran == []


@pytest.mark.parametrize(
    "edits", [{"currency": "EUR"}, {"amount_": 2}], ids=["a new argument", "a misspelt one"]
)
def test_an_edit_that_does_not_fit_the_function_is_refused(edits: dict[str, Any]) -> None:
    ran: list[int] = []

    @require_approval(audience=ANA, client=OfflineClient(edit(**edits)))
    def refund(amount: int) -> None:
        ran.append(amount)

    with pytest.raises(
        BadEdit, match=r"does not fit refund\(\): got an unexpected keyword.*; nothing was run"
    ):
        refund(1)
    assert ran == []


@pytest.mark.parametrize("value", [object(), (1, 2), {1: "a"}, {1, 2}, float("nan"), b"bytes"])
def test_an_argument_that_is_no_json_is_refused_before_anybody_is_asked(value: object) -> None:
    client = OfflineClient(approve())

    @require_approval(audience=ANA, client=client)
    def refund(amount: int, extra: object) -> None:
        raise AssertionError((amount, extra))

    with pytest.raises(
        Unsendable, match=r"refund\(\) cannot be put to people: its argument 'extra' is no JSON"
    ):
        refund(1, extra=value)
    assert client.offline.asked == []


def test_what_cannot_be_asked_is_refused_at_once() -> None:
    gate = require_approval(audience=ANA)
    with pytest.raises(TypeError, match=r"parameter \*amounts has no name"):
        gate(lambda *amounts: amounts)
    with pytest.raises(TypeError, match=r"<lambda>\(\) needs Client, not OfflineAsyncClient"):
        require_approval(audience=ANA, client=OfflineAsyncClient(approve()))(lambda amount: amount)


def test_the_same_arguments_ask_once_by_a_key_made_of_them() -> None:
    client = OfflineClient([approve(), reject()])

    @require_approval(audience=ANA, client=client, idempotency_key=lambda order, **_: f"refund-{order}")
    def refund(order: str, amount: int) -> int:
        return amount

    assert [refund("5531", 10), refund("5531", 10)] == [10, 10]
    assert len(client.offline.asked) == 1
    with pytest.raises(Rejected):
        refund("5532", 10)


async def test_the_client_of_the_environment_is_used(assent_offline: Offline) -> None:
    assent_offline.answers(
        lambda request: approve() if request.payload["amount"] < 100 else reject("too much")
    )

    @require_approval(audience=ANA)
    def refund(amount: int) -> int:
        return amount

    @require_approval(audience=ANA)
    async def pay(amount: int) -> int:
        return amount

    assert [refund(amount=1), await pay(2), refund(3)] == [1, 2, 3]
    with pytest.raises(Rejected, match="Pay was rejected by the test: too much"):
        await pay(1000)
    assert [request.payload["amount"] for request in assent_offline.asked] == [1, 2, 3, 1000]
