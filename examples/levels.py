"""The three levels of confirmation: tell people, ask them, make them type what they approve.

Needs ASSENT_URL and ASSENT_API_KEY; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import os

from bot.client import Client, Rejected

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")

with Client() as assent:
    told = assent.submit(title="The nightly backup is done", level="info", audience=AUDIENCE)
    print(told.status)

    asked = assent.submit(title="Send the newsletter to 8,000 people?", audience=AUDIENCE)
    print("sent" if assent.wait(asked.id) else "not sent")

    typed = assent.submit(
        title="Delete the database prod?",
        level="verify",
        verification_phrase="DELETE prod",
        audience=AUDIENCE,
    )
    try:
        assent.wait(typed.id).raise_for_rejection()
        print("deleted")
    except Rejected as rejected:
        print(f"kept: {rejected}")
