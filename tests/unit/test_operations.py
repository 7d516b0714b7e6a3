"""Operations of the HTTP API: what one must say of itself, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bot.domain.access.authority import Scope
from bot.web.calls.operation import Operation, operation, operations_of, routes_of
from bot.web.openapi.document import document
from bot.web.operations import OPERATIONS

if TYPE_CHECKING:
    from bot.web.calls.door import Visit

ABOUT: dict[str, Any] = {
    "method": "GET",
    "path": "/v1/things/{id}",
    "id": "thing",
    "tag": "things",
    "summary": "Look",
    "answers": {204: ("Nothing.", None)},
}


class Things:
    @operation(**(ABOUT | {"id": "first"}), scopes=(Scope.READ,))
    @operation(**(ABOUT | {"id": "second", "path": "/v1/other"}), scopes=(Scope.READ,))
    async def look(self, _http: web.Request, _call: Visit) -> web.Response:
        return web.Response(status=204)

    @operation(**(ABOUT | {"id": "open", "path": "/open"}), key=False)
    async def free(self, _http: web.Request) -> web.Response:
        return web.Response(status=204)

    async def no_operation(self) -> None:
        pass


@pytest.mark.parametrize(("key", "scopes"), [(True, ()), (False, (Scope.READ,))])
def test_an_operation_names_its_scopes_or_says_that_it_needs_no_key(*, key: bool, scopes: Any) -> None:
    with pytest.raises(ValueError, match="thing must name the scopes"):
        Operation(**ABOUT, key=key, scopes=scopes)


def test_the_operations_of_a_class_are_those_beside_its_handlers() -> None:
    assert [o.id for o in operations_of(Things)] == ["first", "second", "open"]


def test_what_needs_a_key_has_no_route_without_a_door() -> None:
    with pytest.raises(ValueError, match="first needs a key"):
        routes_of(Things())


def test_each_operation_is_one_call_with_a_name_of_its_own() -> None:
    assert len({o.id for o in OPERATIONS}) == len(OPERATIONS)
    assert len({(o.method, o.path) for o in OPERATIONS}) == len(OPERATIONS)


def test_every_change_of_ours_lists_its_idempotency_key() -> None:
    described = document("https://assent.example.com", OPERATIONS)["paths"]
    listed = {
        path
        for path, calls in described.items()
        for call in calls.values()
        if "Idempotency-Key" in {p["name"] for p in call["parameters"]}
    }
    ours = {path for path, calls in described.items() if path.startswith("/v1/") and "post" in calls}
    assert ours - listed == {"/v1/keys"}, "a new API key is told once, so it is no answer to be repeated"
    assert listed <= ours


def test_what_a_shape_has_from_another_is_described_there_too() -> None:
    schemas = document("https://assent.example.com", OPERATIONS)["components"]["schemas"]
    for name, base in (("PendingOut", "RequestOut"), ("NewKeyOut", "KeyOut"), ("Problem", "ProblemOut")):
        members = schemas[name]["properties"]
        assert schemas[base]["properties"].items() <= members.items()
