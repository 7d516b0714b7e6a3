"""The HTTP calls about API keys: list, make and revoke them, each for administrators only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.schemas.requests import Body, parse
from bot.schemas.responses import instant
from bot.web.calls.json_body import read_json, respond
from bot.web.openapi.calls import WITH_BODY, Call

if TYPE_CHECKING:
    from bot.domain.model.request import Json
    from bot.ports import ApiKey, Keyring
    from bot.web.calls.door import Door
    from bot.web.openapi.calls import JsonObject


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must have printable characters only")
    return name


class KeyBody(Body):
    """A key to make."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        AfterValidator(_printable),
    ]
    """Who uses it; stands in the audit trail of whatever it does."""
    scopes: Annotated[list[Scope], Field(min_length=1)]
    """What it may do. Give no key both `submit` and what decides: `operate`, `respond`, `links`."""


class _Out(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class KeyOut(_Out):
    """A key, never the key itself."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: AwareDatetime
    revoked_at: AwareDatetime | None


class NewKeyOut(KeyOut):
    """A new key. It is shown this once."""

    key: str
    """What goes behind `Authorization: Bearer`."""
    callback_secret: str
    """Signs the callbacks of requests that come with it."""


class KeyList(_Out):
    """Every key, oldest first, revoked ones too."""

    items: list[KeyOut]


KEY_ID: JsonObject = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The key's id, `key_…`.",
    "schema": {"type": "string"},
}
CALLS = (
    Call(
        method="get",
        path="/v1/keys",
        id="keys",
        summary="List the API keys",
        scope=Scope.ADMIN,
        answers={200: ("Every key.", KeyList)},
    ),
    Call(
        method="post",
        path="/v1/keys",
        id="create_key",
        summary="Make an API key",
        text="Whoever may do this may everything: give the scope `admin` to no program that asks.",
        scope=Scope.ADMIN,
        body=KeyBody,
        examples={"a program that asks": {"name": "ci", "scopes": ["submit"]}},
        answers={201: ("The key, shown this once.", NewKeyOut)},
        refusals=WITH_BODY,
    ),
    Call(
        method="delete",
        path="/v1/keys/{id}",
        id="revoke_key",
        summary="Revoke an API key",
        text="For good; other replicas refuse it within 5 seconds.",
        scope=Scope.ADMIN,
        parameters=(KEY_ID,),
        answers={204: ("It is revoked.", None)},
        refusals=(errors.NotFound,),
    ),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The calls."""

    door: Door
    keyring: Keyring

    def routes(self) -> list[web.RouteDef]:
        """Each of them."""
        return [
            web.get("/v1/keys", self.every),
            web.post("/v1/keys", self.create),
            web.delete("/v1/keys/{id}", self.revoke),
        ]

    async def every(self, http: web.Request) -> web.Response:
        """`GET /v1/keys`."""
        await self.door.enter(http, Scope.ADMIN)
        return respond({"items": [_described(key) for key in await self.keyring.every()]})

    async def create(self, http: web.Request) -> web.Response:
        """`POST /v1/keys`."""
        await self.door.enter(http, Scope.ADMIN)
        body = parse(KeyBody, await read_json(http))
        key, secret, signing = await self.keyring.create(body.name, frozenset(map(str, body.scopes)))
        shown = {"key": secret, "callback_secret": signing}
        return respond(_described(key) | shown, status=201, headers={"Location": f"/v1/keys/{key.id}"})

    async def revoke(self, http: web.Request) -> web.Response:
        """`DELETE /v1/keys/{id}`."""
        await self.door.enter(http, Scope.ADMIN)
        key_id = http.match_info["id"]
        if not await self.keyring.revoke(key_id):
            raise errors.NotFound(f"There is no key {key_id[:80]!r}.")
        self.door.forget(key_id)
        return web.Response(status=204)


def _described(key: ApiKey) -> dict[str, Json]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": instant(key.created_at),
        "revoked_at": instant(key.revoked_at),
    }
