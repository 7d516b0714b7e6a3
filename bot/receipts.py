"""Signed receipts: who decided what about exactly which payload, as a JWS that anybody can check without asking again.

The Ed25519 keys are derived from the signing keys of `Links`, so that changing those changes both: the newest
signs, all of them are published. A receipt is a compact JWS (RFC 7515) whose payload is a JWT claims set.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from bot.domain.errors import NotFinal
from bot.domain.model.digest import payload_digest
from bot.schemas.responses import instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from joserfc.jwk import KeySet, OKPKey

    from bot.domain.model.request import Request
    from bot.ports.store import AuditEvent

ALGORITHM = "Ed25519"
"""The signature (RFC 9864 §2.2)."""

TYPE = "assent-receipt+jwt"
"""The `typ` of a receipt, so that no other token signed here can be taken for one (RFC 8725 §3.11)."""

PURPOSE = b"assent receipt 1"
"""What sets the derived keys apart from everything else made of the same secrets (RFC 5869 §3.2)."""


class Receipts:
    """Makes receipts. `secrets` are the signing keys, newest first; `issuer` is the base URL."""

    def __init__(self, issuer: str, secrets: Sequence[str]) -> None:
        self._issuer = issuer
        self._secrets = secrets

    @cached_property
    def _keys(self) -> KeySet:
        from joserfc.jwk import KeySet  # noqa: PLC0415 - 9 MiB, and many a server never makes a receipt

        return KeySet([_derived(secret) for secret in self._secrets])

    def jwks(self) -> dict[str, Any]:
        """The public keys, as a JWK set (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in self._keys.keys]}

    def place(self, receipt: str) -> tuple[int, str]:
        """The number and the hash of the event that a receipt was made of; raises `ValueError` where it is not ours."""
        from joserfc import jwt  # noqa: PLC0415 - as above
        from joserfc.errors import JoseError  # noqa: PLC0415 - as above

        try:
            token = jwt.decode(receipt, self._keys, algorithms=[ALGORITHM])
        except (JoseError, ValueError) as error:
            raise ValueError(f"this is no receipt that the secret keys here have signed ({error})") from None
        seq, hashed = token.claims.get("seq"), token.claims.get("chain")
        if token.header.get("typ") != TYPE or not (isinstance(seq, int) and isinstance(hashed, str)):
            raise ValueError("this receipt does not say where in the audit trail it stands: get it anew")
        return seq, hashed

    def sign(self, request: Request, resolved: AuditEvent, now: datetime) -> str:
        """The receipt of a request's outcome, which the event `resolved` recorded; raises `NotFinal`."""
        from joserfc import jwt  # noqa: PLC0415 - as above

        outcome = request.outcome
        if outcome is None:
            raise NotFinal(
                "The request is still pending; a receipt is made of its outcome. Wait for it first."
            )
        key = self._keys.keys[0]
        claims = {
            "iss": self._issuer,
            "sub": request.id,
            "iat": int(now.timestamp()),
            "status": request.status.value,
            "choice": outcome.choice,
            "revision": request.revision,
            "payload_digest": payload_digest(outcome.payload),
            "respondents": list(outcome.respondents),
            "resolved_by": outcome.resolved_by.value,
            "resolved_at": instant(request.resolved_at),
            "by": outcome.by,
            "seq": resolved.seq,
            "chain": resolved.hash,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def _derived(secret: str) -> OKPKey:
    """An Ed25519 key out of a secret by HKDF-SHA256 (RFC 5869); its id is its thumbprint (RFC 7638)."""
    from joserfc.jwk import OKPKey  # noqa: PLC0415 - as above

    return OKPKey.derive_key(
        secret, "Ed25519", {"use": "sig", "alg": ALGORITHM}, auto_kid=True, kdf_options={"info": PURPOSE}
    )
