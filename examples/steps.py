"""One approval after the other: finance is asked only once the team has agreed, and may change the amount.

Needs ASSENT_URL and ASSENT_API_KEY; asks ASSENT_AUDIENCE in both steps.
"""

from __future__ import annotations

import os

from bot.client import Client

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")

with Client() as assent:
    request = assent.submit(
        title="Refund order 5531?",
        payload={"order": "5531", "amount": 1250},
        steps=[
            {"name": "Team", "audience": AUDIENCE},
            {"name": "Finance", "audience": AUDIENCE, "timeout_seconds": 86400, "on_timeout": "reject"},
        ],
    )
    outcome = assent.wait(request.id)
    print(f"{outcome.status} by {outcome.by}")
