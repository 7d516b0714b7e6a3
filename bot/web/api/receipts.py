"""Receipts of outcomes, and the public keys that they are checked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from bot.domain.errors import NotFinal, NotFound
from bot.schemas.answers import described
from bot.web.calls.door import READING
from bot.web.calls.json_body import respond
from bot.web.calls.operation import operation
from bot.web.calls.parameters import ID

if TYPE_CHECKING:
    from aiohttp import web

    from bot.ports.system import Clock
    from bot.receipts import Receipts
    from bot.web.calls.door import Visit

RESOLVED = "request.resolved"
"""The audit event of an outcome, whose place in the chain its receipt names."""

CACHED = {"Cache-Control": "public, max-age=300"}


@described
class ReceiptOut(TypedDict):
    """Proof of an outcome, for whoever does not ask here."""

    receipt: str
    """A compact JWS. Its claims: `iss` (this server), `sub` (the request), `iat`, `status`, `choice`,
    `revision`, `payload_digest` (of `outcome.payload`), `respondents`, `resolved_by`, `by`, `resolved_at`, and where
    the outcome stands in the audit trail: `seq` and `chain`, the number and the hash of its event.
    """


@described
class PublicKeyOut(TypedDict):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    """Names the key in the header of a receipt."""
    use: Literal["sig"]
    alg: Literal["Ed25519"]


@described
class KeysOut(TypedDict):
    """The public keys that receipts are checked with: the newest first, which signs."""

    keys: list[PublicKeyOut]


@dataclass(frozen=True, slots=True)
class ReceiptCalls:
    """The two calls."""

    receipts: Receipts
    clock: Clock

    @operation(
        method="GET",
        path="/v1/requests/{id}/receipt",
        id="receipt",
        tag="receipts",
        summary="Get a signed receipt of the outcome",
        text="Check it with the keys of `/.well-known/jwks.json`, and compare `payload_digest` with what you run.",
        scopes=READING,
        parameters=(ID,),
        answers={200: ("The receipt.", ReceiptOut)},
        refusals=(NotFound, NotFinal),
    )
    async def receipt(self, http: web.Request, call: Visit) -> web.Response:
        """Sign an outcome."""
        request = await call.approvals.get(http.match_info["id"])
        events = await call.approvals.audit(request.id)
        resolved = next((event for event in events if event.type == RESOLVED), events[-1])
        return respond(ReceiptOut(receipt=self.receipts.sign(request, resolved, self.clock.now())))

    @operation(
        method="GET",
        path="/.well-known/jwks.json",
        id="jwks",
        tag="receipts",
        summary="Get the keys that receipts are checked with",
        key=False,
        answers={200: ("A JWK set.", KeysOut)},
    )
    async def jwks(self, _http: web.Request) -> web.Response:
        """The public keys."""
        return respond(self.receipts.jwks(), headers=CACHED)
