"""Collect feedback on a run from everybody, and go on with the mean score.

Needs ASSENT_URL and ASSENT_API_KEY; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import os

from bot.client import Client

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")

with Client() as assent:
    request = assent.submit(
        title="How helpful was the summary of run 17?",
        message="The agent wrote: *Three customers report the same fault.*",
        kind="feedback",
        feedback_type="helpfulness",
        labels={"run_id": "17"},
        timeout_seconds=3600,
        audience=AUDIENCE,
    )
    given = assent.wait(request.id).values
    print(f"{given['feedback_type']}: {given['score']:g} from {given['count']}; {given['comments']}")
