"""Who must agree: anybody of security, and two others. It ends as soon as that can no longer happen.

Needs ASSENT_URL and ASSENT_API_KEY; of ASSENT_AUDIENCE the first is security, the others are operations.
"""

from __future__ import annotations

import os

from bot.client import Client

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com,email:a@example.com,email:b@example.com")
security, *operations = AUDIENCE.split(",")

with Client() as assent:
    assent.put_group("example-security", [security])
    assent.put_group("example-operations", operations)
    request = assent.submit(
        title="Open the firewall for the auditors?",
        audience=["group:example-security", "group:example-operations"],
        quorum={
            "all_of": [
                {"from": "group:example-security", "approvals": 1},
                {"from": "group:example-operations", "approvals": 2},
            ]
        },
    )
    print(request.quorum["text"])
    outcome = assent.wait(request.id)
    print(f"{outcome.status} by {outcome.by}")
