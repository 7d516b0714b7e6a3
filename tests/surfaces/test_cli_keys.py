"""`assent keys` beside a running server: a key works from its first moment and not long after its last."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bot.web.calls import auth
from tests.support import command
from tests.support.product import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.product import Product

LINK = re.compile(r"/r/[a-z2-7]{39}")


@pytest.fixture
async def product(sqlite_url: str) -> AsyncIterator[Product]:
    async with running(sqlite_url) as product:
        yield product


async def keys(url: str, *arguments: str) -> command.Done:
    return await command.run("keys", *arguments, ASSENT_DATABASE_URL=url)


async def created(url: str, scopes: str) -> Any:
    done = await keys(url, "create", "--name", "ci", "--scopes", scopes, "--json")
    assert (done.status, done.err) == (0, "")
    return done.json


def bearer(made: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['key']}"}


async def test_the_first_key_makes_the_database(database_url: str) -> None:
    done = await keys(database_url, "create", "--name", "ci", "--scopes", "submit, read")
    assert done.status == 0
    (secret,) = done.out.splitlines()
    (listed,) = (await keys(database_url, "list", "--json")).json
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("ci", ["read", "submit"], None)
    assert listed["id"] in done.err
    async with running(database_url) as product:
        answer = await product.call("GET", "/v1/pending", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status == 200


async def test_a_key_made_beside_a_server_works_at_once_within_its_scopes(
    product: Product, sqlite_url: str
) -> None:
    ask = {"title": "Refund", "audience": ["email:ana@example.com"]}
    one = f"/v1/requests/{(await product.submit())['id']}"
    for_ana = {"decision": "approve", "respondent": "email:ana@example.com"}
    families: dict[str, list[tuple[str, str, Any]]] = {
        "read": [("GET", path, None) for path in (one, f"{one}/audit", f"{one}/deliveries")],
        "submit": [("POST", "/v1/requests", ask)],
        "respond": [("POST", f"{one}/responses", for_ana)],
        "operate": [("POST", f"{one}/responses", {"decision": "approve"})],
    }
    for scope in families:
        headers = bearer(await created(sqlite_url, scope))
        for family, calls in families.items():
            for method, path, body in calls:
                answer = await product.call(method, path, json=body, headers=headers)
                refused = answer.status in {403, 404}
                may = family == scope or (scope, family) == ("operate", "respond")
                assert refused != may, (scope, path, answer.text)


async def test_only_a_key_for_links_sees_links(product: Product, sqlite_url: str) -> None:
    await product.submit()
    for scopes, seen in (("read", False), ("read,operate,admin", False), ("read,links", True)):
        answer = await product.call("GET", "/v1/pending", headers=bearer(await created(sqlite_url, scopes)))
        assert bool(LINK.search(answer.text)) is seen, scopes


async def test_a_revoked_key_is_refused_after_five_seconds_at_most(
    product: Product, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(auth, "time", SimpleNamespace(monotonic=lambda: now))
    made = await created(sqlite_url, "read")
    assert (await product.call("GET", "/v1/pending", headers=bearer(made))).status == 200
    for _ in range(2):
        done = await keys(sqlite_url, "revoke", made["id"], "--json")
        assert (done.status, bool(done.json["revoked_at"])) == (0, True)
    now += 5
    answer = await product.call("GET", "/v1/pending", headers=bearer(made))
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


async def test_no_list_shows_a_secret(sqlite_url: str) -> None:
    made = [await created(sqlite_url, scopes) for scopes in ("read", "submit,links")]
    await keys(sqlite_url, "revoke", made[0]["id"])
    shown = [(await keys(sqlite_url, "list", *options)).out for options in ((), ("--json",))]
    for out in shown:
        assert all(key["id"] in out for key in made)
        assert "ask_" not in out
    assert "revoked" in shown[0]


async def test_a_key_that_is_not_there_cannot_be_revoked(sqlite_url: str) -> None:
    done = await keys(sqlite_url, "revoke", "key_1")
    assert (done.status, done.out) == (1, "")
    assert done.err == "assent: there is no key key_1; `assent keys list` names them\n"


@pytest.mark.parametrize("scopes", ["read,everything", ","])
async def test_a_wrong_scope_names_the_right_ones(sqlite_url: str, scopes: str) -> None:
    done = await keys(sqlite_url, "create", "--name", "ci", "--scopes", scopes)
    assert (done.status, done.out) == (2, "")
    assert "submit, read, respond, operate, links, admin" in done.err


@pytest.mark.parametrize("name", [" ", "a\nb"])
async def test_a_name_must_be_readable(sqlite_url: str, name: str) -> None:
    done = await keys(sqlite_url, "create", "--name", name, "--scopes", "read")
    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize(
    ("scopes", "named"),
    [
        ("submit,read,operate", "operate"),
        ("submit,respond", "respond"),
        ("submit,links", "links"),
        ("submit,read,admin", "admin"),
        ("submit,read", None),
        ("read,respond,operate,links", None),
    ],
)
async def test_a_key_that_asks_and_decides_is_warned_of(
    sqlite_url: str, scopes: str, named: str | None
) -> None:
    done = await keys(sqlite_url, "create", "--name", "ci", "--scopes", scopes)
    assert done.status == 0
    assert ("warning: this key both asks" in done.err) is (named is not None)
    if named:
        assert f"({named})" in done.err
    as_json = await keys(sqlite_url, "create", "--name", "ci", "--scopes", scopes, "--json")
    assert (as_json.err, "warning" in as_json.json) == ("", named is not None)
