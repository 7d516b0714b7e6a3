"""A request that climbs: reminded after ten minutes, the next level after fifteen, or when somebody says so.

Needs ASSENT_URL and ASSENT_API_KEY; ASSENT_AUDIENCE is the ladder, from the first to be asked to the last.
"""

from __future__ import annotations

import os

from bot.client import Client

LADDER = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com,email:boss@example.com").split(",")

with Client() as assent:
    request = assent.submit(
        title="Extend the trial of customer 8841 by a month?",
        audience=LADDER[:1],
        escalation=[
            {"name": f"level {number}", "audience": [who], "after_seconds": 900}
            for number, who in enumerate(LADDER[1:], 1)
        ],
        remind_after_seconds=[600],
        timeout_seconds=86400,
    )
    outcome = assent.wait(request.id)
    climbed = [e["data"] for e in assent.audit(request.id) if e["type"] == "request.escalated"]
    for climb in climbed:
        print(f"{climb['from']} → {climb['to']}: {climb['reason']}")
    print(f"{outcome.status} by {outcome.by}")
