"""Every route × every kind of key × whose request it is; a route that is not in the table fails."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bot.store.queries import api_keys
from tests.support.authority import COLUMNS, LAYER, OWN, QUESTION, ROWS, SPEC, UNKNOWN, Column, Row
from tests.support.product import KEY

if TYPE_CHECKING:
    from bot.sandbox.slack.sandbox import SlackSandbox
    from tests.support.product import Answer, Product

SECRET = "what only a reader may know"
DONE = [row.cells for row in ROWS if "done" in row.cells.values()]
STAGED = {"function": ("function_calls", SPEC), "contact": ("contact_requests", QUESTION)}


def test_every_route_has_its_row(product: Product) -> None:
    """Derived from the router of the running application, so that a route cannot be forgotten."""
    app = product.assent._runner.app
    assert app
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }
    assert {(row.method, row.path) for row in ROWS} == routes


@dataclass
class Stage:
    """One key of each kind, and requests for them to be tried on."""

    product: Product
    someone: str
    keys: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    async def prepare(self) -> None:
        """Make the keys: the first asks where the request is another's."""
        self.others = await self.product.new_key("submit", name="other")
        for scopes in {column.scopes for column in COLUMNS}:
            bootstrap = {"Authorization": f"Bearer {KEY}"}
            self.keys[scopes] = await self.product.new_key(*scopes, name="tried") if scopes else bootstrap

    async def request(self, row: Row, column: Column) -> dict[str, str]:
        """What stands for `{id}`, `{call_id}` and `{new}` in a row."""
        new = f"call-{uuid.uuid4().hex}"
        if row.before == "a key":
            await self.product.new_key("read", name="to be revoked")
            every = await self.product.assent.store.run_read(api_keys.every)
            return {"id": next(k.id for k in every if k.name == "to be revoked" and not k.revoked_at)}
        if column.whose == UNKNOWN:
            return {"id": "req_nope", "call_id": "nope", "new": new}
        headers = self.keys[column.scopes] if column.whose == OWN else self.others
        if row.before in STAGED:
            path, spec = STAGED[row.before]
            shown = {"fn": SECRET} if "fn" in spec else {"msg": SECRET}
            body = {"run_id": "r", "call_id": new, "spec": spec | shown}
            answer = await self.product.call("POST", f"{LAYER}/{path}", json=body, headers=headers)
            assert answer.status == 201, answer.text
            return {"id": "", "call_id": new, "new": new}
        escalation = [{"name": "boss", "audience": ["email:cy@example.com"]}]
        made = await self.product.submit_with(headers, title=SECRET, escalation=escalation, quorum=1)
        if row.before == "final":
            await self.product.answer(made, "approve", "ana@example.com")
        if row.before == "answered":
            held = await self.product.submit_with(headers, title=SECRET, grace_seconds=60)
            await self.product.answer(held, "approve", "ana@example.com")
            made = held
        return {"id": made["id"], "call_id": "", "new": new}


async def tried(stage: Stage, row: Row, column: Column) -> str:
    """What a call comes to, in the words of the table."""
    names = await stage.request(row, column)
    if row.path == "/v1/groups/{name}":
        await stage.product.call("PUT", "/v1/groups/team", json={"members": ["ana@example.com"]})
    path = row.path.format(**{**names, **row.names})
    names["someone"] = stage.someone
    body = json.loads(re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], m[0]), json.dumps(row.body)))
    headers = stage.keys[column.scopes]
    if row.path == "/v1/events":
        return await followed(stage, headers, names["id"])
    answer = await stage.product.call(row.method, path, json=body, headers=headers)
    return told(answer, row, names)


def told(answer: Answer, row: Row, names: dict[str, str]) -> str:
    """The cell that an answer belongs in."""
    if "problem+json" in answer.headers.get("Content-Type", ""):
        assert SECRET not in answer.text
        return str(answer.json["code"])
    assert answer.status < 300, answer.text
    if row.cells in DONE:
        return "done"
    if row.path.endswith(("/pending", "/v1/requests")):
        return listed(answer.text)
    found = answer.json if "event-stream" not in answer.headers["Content-Type"] else answer.text
    if row.path == "/v1/responses":
        (item,) = found["items"]
        if item["problem"]:
            assert SECRET not in answer.text
            return str(item["problem"]["code"])
        found = item["request"]
    if isinstance(found, dict) and found.keys() == {"id", "status", "version"}:
        return "brief"
    belongs = names["id"] or names["call_id"]
    assert row.path.endswith("/receipt") or row.path.endswith("/deliveries") or belongs in answer.text
    return "all"


def listed(text: str) -> str:
    """Each key's requests say by their title whose they are."""
    return {(True, False): "own", (True, True): "every", (False, True): "others'"}[
        MINE in text, THEIRS in text
    ]


MINE, THEIRS = "this key's own title", "another key's own title"


async def followed(stage: Stage, headers: dict[str, str], last: str) -> str:
    """The stream of all events from the first on, until nothing has come for a moment."""
    http, path = stage.product.http, "/v1/events"
    async with http.get(path, headers={**headers, "Last-Event-ID": "0"}) as response:
        if response.status != 200:
            return str((await response.json(content_type=None))["code"])
        text = ""
        while f'"title":"{MARK}"' not in text:
            async with asyncio.timeout(10):
                text += (await response.content.readany()).decode()
        return listed(text)


MARK = "the last that this key asked"


@pytest.mark.parametrize(
    "row",
    [r for r in ROWS if set(r.cells.values()) != {"open"}],
    ids=lambda r: f"{r.method} {r.path} {r.what}",
)
async def test_the_table_holds(row: Row, product: Product, slack: SlackSandbox) -> None:
    stage = Stage(product, someone=slack.workspace.add_user("Ana", email=None).id)
    await stage.prepare()
    wrong = {}
    lists = "own" in row.cells.values() or "every" in row.cells.values()
    for column, expected in row.cells.items():
        if lists:
            await stage_lists(stage, column)
        found = await tried(stage, row, column)
        if found != expected:
            wrong[column.title] = f"{found} instead of {expected}"
    assert wrong == {}


async def stage_lists(stage: Stage, column: Column) -> None:
    """Two requests in every list: one of this key, whether it may see it or not, and one of another's."""
    mine = stage.keys[column.scopes]
    if "submit" in column.scopes or not column.scopes:
        await stage.product.submit_with(mine, title=MINE)
        await stage.product.submit_with(stage.others, title=THEIRS)
        await stage.product.submit_with(mine, title=MARK)
    else:
        await stage.product.submit_with(stage.others, title=MINE)
        await stage.product.submit_with(stage.others, title=THEIRS)
        await stage.product.submit_with(stage.others, title=MARK)


@pytest.mark.parametrize("row", [r for r in ROWS if set(r.cells.values()) == {"open"}], ids=lambda r: r.path)
async def test_what_is_open_asks_for_no_key(row: Row, product: Product) -> None:
    del product.http.headers["Authorization"]
    method = "GET" if row.method == "*" else row.method
    answer = await product.call(method, row.path.format(**row.names))
    if row.path == "/slack/events":
        assert answer.status == 401  # it is Slack's signature that is missing
        assert "sign" in answer.json["detail"]
    else:
        assert answer.status in {200, 404}
