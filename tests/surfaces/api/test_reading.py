"""Reading: one request, waiting for it, lists, what waits, its history; and telling without asking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bot.sandbox.mail.relay import Mailbox
from tests.support.product import running

if TYPE_CHECKING:
    from tests.support.product import Answer, Product

ANA, BEN = "email:ana@example.com", "email:ben@example.com"


async def test_a_waiter_is_answered_by_the_answer(product: Product) -> None:
    request = await product.submit()
    waiters = [asyncio.create_task(product.get(request, wait=60)) for _ in range(5)]
    slow = asyncio.create_task(product.get(request, wait=0.05))
    assert (await slow)["status"] == "pending"
    loop = asyncio.get_running_loop()
    answered = (await product.answer(request, "approve", "ana@example.com")).json
    stored_at = loop.time()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*waiters) == [answered] * 5
    assert loop.time() - stored_at < 1


async def test_a_waiter_sees_only_the_end(product: Product) -> None:
    request = await product.submit(audience=[ANA, BEN], quorum=2)
    waiter = asyncio.create_task(product.get(request, wait=60))
    await product.answer(request, "approve", "ana@example.com")
    assert not waiter.done()
    await product.answer(request, "approve", "ben@example.com")
    async with asyncio.timeout(10):
        assert (await waiter)["status"] == "approved"


async def test_waiting_for_what_is_final_answers_at_once(product: Product) -> None:
    request = await product.submit(level="info")
    async with asyncio.timeout(20):
        assert await product.get(request, wait=60) == request


async def test_waiting_is_answered_when_the_service_stops(database_url: str) -> None:
    async with running(database_url) as product:
        request = await product.submit()
        waiter = asyncio.create_task(product.get(request, wait=60))
        async with asyncio.timeout(10):
            while request["id"] not in product.assent.store.wakeups._watches:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            await product.assent.stop()
            assert (await waiter)["status"] == "pending"


@pytest.mark.parametrize("wait", ["0", "-1", "soon", "", "nan", "inf", "-inf", "1e-999", "٣"])
async def test_a_wait_must_be_a_number_above_zero(wait: str, product: Product) -> None:
    request = await product.submit(level="info")
    answer = await product.call("GET", f"/v1/requests/{request['id']}", params={"wait": wait})
    assert answer.status == 422, answer.text
    assert [e["pointer"] for e in answer.json["errors"]] == ["/wait"]


@pytest.mark.parametrize("wait", ["61", "3600", "1e9", "1e999", "0.001", "1.5"])
async def test_a_long_wait_is_lowered(wait: str, product: Product) -> None:
    request = await product.submit(level="info")
    assert (await product.get(request, wait=wait))["status"] == "approved"


async def test_reading_changes_nothing(product: Product) -> None:
    request = await product.submit()
    for _ in range(3):
        assert await product.get(request) == request
        await product.call("GET", "/v1/pending")
        await product.call("GET", f"/v1/requests/{request['id']}/audit")
    assert (await product.get(request))["version"] == 1


async def listed(product: Product, path: str = "/v1/requests", **params: Any) -> list[str]:
    """The titles on one page."""
    answer = await product.call("GET", path, params=params)
    assert answer.status == 200, answer.text
    assert answer.json["next_cursor"] is None
    return [r["title"] for r in answer.json["items"]]


async def test_lists_are_filtered(product: Product) -> None:
    one = await product.submit(title="Refund 100 %", audience=[ANA], labels={"env": "prod", "a:b": "c"})
    await product.submit(title="Deploy_blue", audience=[BEN], labels={"env": "test"}, requester=ANA)
    await product.submit(title="REFUND ünder", audience=[ANA, BEN], requester="run-7")
    await product.answer(one, "approve", "ana@example.com")
    first, second, third = "Refund 100 %", "Deploy_blue", "REFUND ünder"
    expected: list[tuple[dict[str, str], list[str]]] = [
        ({}, [third, second, first]),
        ({"status": "pending"}, [third, second]),
        ({"status": "approved"}, [first]),
        ({"status": "rejected"}, []),
        ({"respondent": ANA}, [third, first]),
        ({"respondent": "email:ANA@example.com"}, [third, first]),
        ({"respondent": "ben@example.com"}, [third, second]),
        ({"respondent": one["respondents"][0]["id"]}, [first]),
        ({"respondent": ANA, "status": "pending"}, [third]),
        ({"respondent": ANA, "status": "approved"}, [first]),
        ({"respondent": "email:eve@example.com"}, []),
        ({"requester": ANA}, [second]),
        ({"requester": "run-7"}, [third]),
        ({"label": "env:prod"}, [first]),
        ({"label": "a:b:c"}, [first]),
        ({"label": "env:prod", "status": "pending"}, []),
        ({"q": "refund"}, [third, first]),
        ({"q": "100 %"}, [first]),
        ({"q": "%"}, [first]),
        ({"q": "_"}, [second]),
        ({"q": "\\"}, []),
        ({"q": "nothing"}, []),
    ]
    found = [(params, await listed(product, **params)) for params, _ in expected]
    assert found == expected


async def test_pages_follow_each_other_while_requests_come(product: Product) -> None:
    titles = [f"T{i}" for i in range(7)]
    for title in titles:
        await product.submit(title=title)
    seen, cursor, pages = [], None, 0
    while cursor or not pages:
        params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await product.call("GET", "/v1/requests", params=params)).json
        seen += [r["title"] for r in page["items"]]
        cursor, pages = page["next_cursor"], pages + 1
        await product.submit(title="later")
    assert (seen, pages) == (titles[::-1], 3)


async def test_an_exact_last_page_has_no_next(product: Product) -> None:
    for title in ("T0", "T1"):
        await product.submit(title=title)
    assert await listed(product, limit="2") == ["T1", "T0"]
    assert await listed(product, limit="100000") == ["T1", "T0"]


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/pending"])
async def test_what_no_list_understands_is_refused(path: str, product: Product) -> None:
    wrong = [("limit", v) for v in ("0", "-1", "1.5", "ten", "", "+3", "٣", "1e3")]
    wrong += [("respondent", "nobody"), ("respondent", "group:ops")]
    wrong += [("status", "open")] if path == "/v1/requests" else []
    for name, value in wrong:
        answer = await product.call("GET", path, params={name: value})
        assert answer.status == 422, (name, value)
        assert [e["pointer"] for e in answer.json["errors"]] == [f"/{name}"]


async def test_what_waits_has_links_for_a_key_that_may_see_them(product: Product) -> None:
    request = await product.submit(audience=[ANA, BEN], quorum=2)
    done = await product.submit(title="Done")
    await product.answer(done, "approve", "ana@example.com")
    await product.answer(request, "approve", "ana@example.com")
    (item,) = (await product.call("GET", "/v1/pending")).json["items"]
    (link,) = item["links"]
    assert link["respondent"] == request["respondents"][1]["id"]
    assert link["url"].startswith(f"{product.url}/r/")
    assert len(link["url"]) <= 120
    page = await product.call("GET", link["url"].removeprefix(product.url), headers={"Authorization": ""})
    assert page.status == 200
    assert "Refund" in page.text
    without = await product.call("GET", "/v1/pending", headers=await product.new_key("read"))
    assert "links" not in without.json["items"][0]
    assert "/r/" not in without.text


async def test_the_history_is_told_oldest_first(product: Product) -> None:
    request = await product.submit(audience=[ANA, BEN], quorum=2)
    await product.answer(request, "approve", "ana@example.com", reason="Yes")
    await product.answer(request, "reject", "ben@example.com")
    events = (await product.call("GET", f"/v1/requests/{request['id']}/audit")).json["items"]
    assert [e["type"] for e in events] == [
        "request.created",
        "request.response",
        "request.response",
        "request.resolved",
    ]
    assert [e["version"] for e in events] == [1, 2, 3, 3]
    assert [e["id"] for e in events] == sorted(e["id"] for e in events)
    assert all(e["request_id"] == request["id"] and len(e["hash"]) == 64 for e in events)
    assert events[1]["data"]["reason"] == "Yes"
    assert events[-1]["status"] == "rejected"


async def test_a_notification_reaches_people_and_asks_nothing(database_url: str) -> None:
    async with Mailbox() as mailbox, running(database_url, mailbox=mailbox) as product:
        body = {
            "message": "Deployed *v7*",
            "audience": [ANA],
            "destination": {"type": "email", "email": "ben@example.com"},
        }
        answer = await product.call("POST", "/v1/notifications", json=body)
        assert answer.status == 202
        for person in ("ana@example.com", "ben@example.com"):
            mail = await mailbox.next_message(person)
            assert "Deployed" in mail.text
            assert "/r/" not in mail.text
        assert (await product.call("GET", "/v1/requests")).json["items"] == []


async def test_a_notification_without_anyone_or_anything_is_refused(product: Product) -> None:
    async def sent(**body: Any) -> tuple[int, str, list[str]]:
        answer = await product.call("POST", "/v1/notifications", json=body)
        return answer.status, answer.json["code"], [e["pointer"] for e in answer.json.get("errors", [])]

    assert await sent(message="M") == (400, "HITL_NO_AUDIENCE", [])
    assert await sent(message="M", audience=[ANA]) == (400, "HITL_NO_AUDIENCE", [])
    assert await sent(message=" ", audience=[ANA]) == (422, "invalid", ["/message"])
    assert await sent(audience=[ANA]) == (422, "invalid", ["/message"])
    assert await sent(message="M", audience=[ANA], title="T") == (422, "invalid", ["/title"])
    assert await sent(message="M", audience=["nobody", ANA]) == (422, "invalid", ["/audience/0"])
    assert await sent(message="M", audience=["group:nope"]) == (422, "invalid", ["/audience/0"])
    assert await sent(message="M", destination={"type": "slack"}) == (422, "invalid", ["/destination"])


async def test_deliveries_show_what_became_of_each_mail(database_url: str) -> None:
    async with Mailbox() as mailbox, running(database_url, mailbox=mailbox) as product:
        mailbox.fail("rcpt", "550 5.1.1 No such user", to="ben@example.com", times=None)
        request = await product.submit(audience=[ANA, BEN])
        await mailbox.next_message("ana@example.com")
        async with asyncio.timeout(10):
            while (found := await product.get(request))["version"] == 1:
                await product.assent.dispatcher.settle()
        await product.assent.dispatcher.settle()
        assert [r["state"] for r in found["respondents"]] == ["waiting", "unreachable"]
        assert [u["target"] for u in found["unreachable"]] == [BEN]
        deliveries = (await product.call("GET", f"/v1/requests/{request['id']}/deliveries")).json["items"]
        states = {d["address"]: d["state"] for d in deliveries}
        assert states == {"ana@example.com": "sent", "ben@example.com": "failed"}


async def test_labels_are_all_wanted_and_what_no_filter_means_is_refused(product: Product) -> None:
    await product.submit(labels={"env": "prod", "team": "x"})
    await product.submit(labels={"env": "prod", "team": "y"})

    async def listed(query: str) -> Answer:
        return await product.call("GET", f"/v1/requests?{query}")

    assert len((await listed("label=env:prod&label=team:x")).json["items"]) == 1
    assert len((await listed(f"limit={'9' * 30}")).json["items"]) == 2
    for query, pointer in (("label=env", "/label"), ("cursor=bogus", "/cursor")):
        answer = await listed(query)
        assert (answer.status, [e["pointer"] for e in answer.json["errors"]]) == (422, [pointer])
