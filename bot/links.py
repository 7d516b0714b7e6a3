"""Signed links: one a respondent of one request, with no decision in it.

A token is 39 characters of lower-case base32: 13 that name the respondent (64 random bits) and 26 of an HMAC-SHA256 cut
to 128 bits over purpose, respondent and generation. It can be derived whenever it is needed, so no link is ever stored;
a higher generation kills the older link. Upper case is folded, because some mail gateways change it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PURPOSE = "respond"
TOKEN = re.compile(r"[a-z2-7]{39}")
_ID_LENGTH = 13
MAX_BASE_URL = 78
"""Characters; with `/r/` and a token a link has at most 120, which mail programs leave in one piece."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads links. `keys` are the signing keys, newest first: the newest signs, all of them verify."""

    base_url: str
    keys: Sequence[str] = field(repr=False)

    def url(self, respondent_id: str, generation: int) -> str:
        """The personal link of a respondent (`rsp_…`)."""
        return f"{self.base_url.rstrip('/')}/r/{self.token(respondent_id, generation)}"

    def token(self, respondent_id: str, generation: int) -> str:
        """The part after `/r/`."""
        return respondent_id.removeprefix("rsp_") + _signature(self.keys[0], respondent_id, generation)

    def respondent_id(self, token: str) -> str | None:
        """The respondent a token names, not yet verified; None where it is no token at all."""
        token = token.lower()
        return f"rsp_{token[:_ID_LENGTH]}" if TOKEN.fullmatch(token) else None

    def verify(self, token: str, respondent_id: str, generation: int) -> bool:
        """Whether `token` was made for this respondent and generation by any of the keys, in constant time per key."""
        given = token.lower()[_ID_LENGTH:].encode()
        return any(
            hmac.compare_digest(given, _signature(k, respondent_id, generation).encode()) for k in self.keys
        )


def _signature(key: str, respondent_id: str, generation: int) -> str:
    message = f"{PURPOSE}|{respondent_id}|{generation}".encode()
    digest = hmac.new(key.encode(), message, hashlib.sha256).digest()[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()
