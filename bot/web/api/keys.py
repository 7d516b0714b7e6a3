"""The HTTP calls about API keys: list, make and revoke them, each for administrators only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from aiohttp import web
from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from bot.domain import errors
from bot.domain.access.authority import Scope
from bot.schemas.answers import Instant, described
from bot.schemas.requests import Body
from bot.schemas.responses import instant
from bot.web.calls.json_body import respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import part

if TYPE_CHECKING:
    from bot.ports.store import ApiKey, Keyring
    from bot.web.calls.door import Door, Visit


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


@described
class KeyOut(TypedDict):
    """A key, never the key itself."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: Instant
    revoked_at: Instant | None


@described
class NewKeyOut(KeyOut):
    """A new key. It is shown this once."""

    key: str
    """What goes behind `Authorization: Bearer`."""
    callback_secret: str
    """Signs the callbacks of requests that come with it."""


@described
class KeyList(TypedDict):
    """Every key, oldest first, revoked ones too."""

    items: list[KeyOut]


KEY_ID = part("id", "The key's id, `key_…`.")


@dataclass(frozen=True, slots=True)
class Keys:
    """The calls."""

    door: Door
    keyring: Keyring

    @operation(
        method="GET",
        path="/v1/keys",
        id="keys",
        tag="keys",
        summary="List the API keys",
        scopes=(Scope.ADMIN,),
        answers={200: ("Every key.", KeyList)},
    )
    async def every(self, _http: web.Request, _call: Visit) -> web.Response:
        """Every key, revoked ones too."""
        return respond(KeyList(items=[_described(key) for key in await self.keyring.every()]))

    @operation(
        method="POST",
        path="/v1/keys",
        id="create_key",
        tag="keys",
        summary="Make an API key",
        text="Whoever may do this may everything: give the scope `admin` to no program that asks.",
        scopes=(Scope.ADMIN,),
        told_once=True,
        body=KeyBody,
        examples={"a program that asks": {"name": "ci", "scopes": ["submit"]}},
        answers={201: ("The key, shown this once.", NewKeyOut)},
    )
    async def create(self, _http: web.Request, _call: Visit, body: KeyBody) -> web.Response:
        """Make a key."""
        key, secret, signing = await self.keyring.create(body.name, frozenset(map(str, body.scopes)))
        shown: NewKeyOut = {**_described(key), "key": secret, "callback_secret": signing}
        return respond(shown, status=201, headers={"Location": f"/v1/keys/{key.id}"})

    @operation(
        method="DELETE",
        path="/v1/keys/{id}",
        id="revoke_key",
        tag="keys",
        summary="Revoke an API key",
        text="For good; other replicas refuse it within 5 seconds.",
        scopes=(Scope.ADMIN,),
        parameters=(KEY_ID,),
        answers={204: ("It is revoked.", None)},
        refusals=(errors.NotFound,),
    )
    async def revoke(self, http: web.Request, _call: Visit) -> web.Response:
        """Revoke a key, here at once."""
        key_id = http.match_info["id"]
        if not await self.keyring.revoke(key_id):
            raise errors.NotFound(f"There is no key {key_id[:80]!r}.")
        self.door.forget(key_id)
        return web.Response(status=204)


def _described(key: ApiKey) -> KeyOut:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(map(Scope, key.scopes)),
        "created_at": cast("str", instant(key.created_at)),  # only the key of the settings was never made
        "revoked_at": instant(key.revoked_at),
    }
