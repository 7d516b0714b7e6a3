"""An outcome held against what was asked: what people approved may since have become another payload (a revision)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.client.models import Outcome

REVISED = "what was put to people was revised after it was asked, so what they decided about is not this"


def digest(payload: Any) -> str:
    """The digest of a payload as the server makes it; raises ValueError for what is no JSON."""
    from bot.domain.model.digest import payload_digest  # noqa: PLC0415 - few programs need the RFC 8785 library

    return payload_digest(json.loads(json.dumps(payload)))


def held_against(outcome: Outcome, payload: Any) -> Outcome:
    """The outcome where the request still asked about this payload, which people may have edited; else a refusal."""
    if not outcome or digest(outcome.request.get("payload")) == digest(payload):
        return outcome
    return replace(outcome, status="cancelled", decision="cancelled", by="Assent", reason=REVISED)
