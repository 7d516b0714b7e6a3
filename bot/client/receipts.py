"""What a receipt proves: that people approved exactly this payload.

A receipt is a compact JWS (RFC 7515) over the claims `sub` (the request), `status`, `choice`, `revision`,
`payload_digest`, `respondents`, `resolved_by`, `resolved_at`, `iss`, and `seq` and `chain` (where its outcome stands in
the audit trail), signed with Ed25519 (RFC 8037) by a key that the server publishes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.client.errors import Unverified

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PEOPLE = frozenset({"respondents", "operator"})
"""What a decision of people is `resolved_by`."""

OTHERS = frozenset({"policy", "grant", "timeout"})
"""What else may decide, and satisfies only who allows it."""

CLAIMS = {
    "iss": str,
    "sub": str,
    "status": str,
    "resolved_by": str,
    "revision": int,
    "seq": int,
    "chain": str,
}
"""What every receipt says, beside its digest and its choice; those of earlier versions lacked some of it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a receipt must be of. Raises ValueError for an unknown name in `allow`."""

    payload: Any
    request: str | None
    choice: str | None
    allow: frozenset[str]

    @classmethod
    def of(
        cls,
        payload: Any,
        request: str | Mapping[str, Any] | None,
        choice: str | None,
        allow: str | Collection[str],
    ) -> Wanted:
        """What the arguments of `verify` want."""
        allowed = frozenset([allow] if isinstance(allow, str) else allow)
        if unknown := ", ".join(sorted(map(repr, allowed - OTHERS))):
            raise ValueError(
                f"allow: {unknown} is unknown; it takes {', '.join(sorted(OTHERS))} (people's decisions always count)"
            )
        named = request if request is None or isinstance(request, str) else str(request["id"])
        return cls(payload, named, choice, allowed)


def key_id(receipt: str) -> str:
    """The id of the key that a receipt says it was signed with; raises `Unverified`."""
    from joserfc import jws  # noqa: PLC0415 - cryptography takes longer to import than all of this
    from joserfc.errors import JoseError  # noqa: PLC0415 - likewise

    try:
        return str(jws.extract_compact(receipt.strip().encode()).headers()["kid"])
    except (JoseError, KeyError, ValueError):
        raise Unverified("this is no receipt: it is not a compact JWS that names its key") from None


def check(receipt: str, wanted: Wanted, keys: dict[str, Any]) -> dict[str, Any]:
    """The claims of a receipt, which one of the JWK set `keys` signed, of what is `wanted`, approved.

    Raises `Unverified`.
    """
    claims = _signed(receipt, keys)
    if fault := _fault(claims, wanted):
        raise Unverified(fault)
    return claims


def _fault(claims: dict[str, Any], wanted: Wanted) -> str | None:
    """Why signed claims do not prove what is wanted."""
    if missing := _missing(claims):
        return (
            f"the receipt does not say enough ({', '.join(missing)}): it was made by an earlier version of Assent; "
            "get the receipt of this request anew"
        )
    if claims["status"] != "approved":
        return f"the receipt is of a request that ended as {claims['status']!r}, not approved"
    if wanted.request is not None and claims["sub"] != wanted.request:
        return f"the receipt is of another request: {claims['sub']}, not {wanted.request}"
    if claims.get("payload_digest") != _digest(wanted.payload):
        return "the payload is not the one that was approved: its digest differs from the receipt's"
    return _undecided(claims["resolved_by"], wanted.allow) or _other_choice(claims["choice"], wanted.choice)


def _missing(claims: dict[str, Any]) -> list[str]:
    wrong = [name for name, kind in CLAIMS.items() if type(claims.get(name)) is not kind]
    return wrong if "choice" in claims else [*wrong, "choice"]


def _undecided(resolved_by: str, allow: frozenset[str]) -> str | None:
    if resolved_by in PEOPLE | allow:
        return None
    how = f"no person approved this: it was approved by {resolved_by}"
    if resolved_by in OTHERS:
        return f"{how}; where that is enough, pass allow=({resolved_by!r},)"
    return how


def _other_choice(chosen: str | None, wanted: str | None) -> str | None:
    if chosen == wanted:
        return None
    if wanted is None:
        return f"people chose {chosen!r}: pass choice= to say which choice is meant"
    return (
        f"people chose {chosen!r}, not {wanted!r}" if chosen else "the request was no choice between options"
    )


def _signed(receipt: str, keys: dict[str, Any]) -> dict[str, Any]:
    from joserfc import jwk, jws  # noqa: PLC0415 - as above
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above

    from bot.receipts import ALGORITHM, TYPE  # noqa: PLC0415 - as above

    try:
        trusted = jwk.KeySet.import_key_set({"keys": keys["keys"]})
        signed = jws.deserialize_compact(receipt.strip(), trusted, algorithms=[ALGORITHM])
        claims = json.loads(signed.payload)
    except (JoseError, ValueError) as error:
        raise Unverified(f"no key that the server publishes has signed this receipt: {error}") from None
    if signed.headers().get("typ") != TYPE or not isinstance(claims, dict):
        raise Unverified("this is signed, but it is no receipt")
    return claims


def _digest(payload: Any) -> str:
    from bot.domain.model.digest import payload_digest  # noqa: PLC0415 - only receipts need the RFC 8785 library

    try:
        return payload_digest(payload)
    except ValueError as error:
        raise Unverified(
            f"this payload has no canonical JSON, so nobody can have approved it: {error}"
        ) from None
