"""Modify, and not only approve or reject: what runs is what people made of it.

Needs ASSENT_URL and ASSENT_API_KEY; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import os

from bot.client import Client

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")
FORM = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "title": "Amount in €", "minimum": 1, "maximum": 5000},
        "order": {"type": "string", "title": "Order", "readOnly": True},
    },
    "required": ["amount"],
}

with Client() as assent:
    request = assent.submit(
        title="Refund order 5531?", payload={"order": "5531", "amount": 1250}, form=FORM, audience=AUDIENCE
    )
    outcome = assent.wait(request.id)
    if outcome:
        print(f"refunding €{outcome.payload['amount']} for {outcome.payload['order']}")
        print("as proposed" if not outcome.edited else "as changed")
