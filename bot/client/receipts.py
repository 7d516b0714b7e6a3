"""What a receipt proves: that Assent saw exactly this payload approved.

A receipt is a compact JWS (RFC 7515) over the claims `sub` (the request), `status`, `payload_digest`, `respondents`,
`resolved_at` and `iss`, signed with Ed25519 (RFC 8037) by a key that the server publishes.
"""

from __future__ import annotations

import json
from typing import Any

from bot.client.errors import Unverified


def key_id(receipt: str) -> str:
    """The id of the key that a receipt says it was signed with; raises `Unverified`."""
    from joserfc import jws  # noqa: PLC0415 - cryptography takes longer to import than all of this
    from joserfc.errors import JoseError  # noqa: PLC0415 - likewise

    try:
        return str(jws.extract_compact(receipt.strip().encode()).headers()["kid"])
    except (JoseError, KeyError, ValueError):
        raise Unverified("this is no receipt: it is not a compact JWS that names its key") from None


def check(receipt: str, payload: Any, keys: dict[str, Any]) -> dict[str, Any]:
    """The claims of a receipt, which one of the JWK set `keys` signed, for this `payload`, approved.

    Raises `Unverified`.
    """
    claims = _signed(receipt, keys)
    if claims.get("status") != "approved":
        raise Unverified(f"the receipt is of a request that ended as {claims.get('status')!r}, not approved")
    if claims.get("payload_digest") != _digest(payload):
        raise Unverified(
            "the payload is not the one that was approved: its digest differs from the receipt's"
        )
    return claims


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
    from bot.domain.digest import payload_digest  # noqa: PLC0415 - only receipts need the RFC 8785 library

    try:
        return payload_digest(payload)
    except ValueError as error:
        raise Unverified(
            f"this payload has no canonical JSON, so nobody can have approved it: {error}"
        ) from None
