"""Delete a user's orders, after a person said yes: kill it while it waits, run it again, and it goes on.

Needs ASSENT_URL and ASSENT_API_KEY; asks ASSENT_AUDIENCE. The run stands in `workflows.db`, or ASSENT_WORKFLOWS_URL.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import timedelta

from bot.client import NotApproved
from bot.workflows import Ctx, Durable, Interrupt

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")

app = Durable()


@dataclass
class DeleteUser:
    """Whom to delete."""

    user_id: str


def count_orders(user_id: str) -> int:
    """Stand for a query."""
    print(f"counting the orders of {user_id}")
    return 3


async def delete(user_id: str) -> str:
    """Stand for the consequential step."""
    return f"deleted {user_id}"


@app.workflow("delete-user")
async def delete_user(ctx: Ctx, inp: DeleteUser) -> str | Interrupt:
    """Be called again from the top once people have answered; steps that are done are not done again."""
    orders = await ctx.step("orders", count_orders, inp.user_id)
    if not ctx.approved:
        return Interrupt.approval(
            f"Delete {inp.user_id} ({orders} orders)?", audience=AUDIENCE, timeout=timedelta(days=2)
        )
    return await ctx.step("delete", delete, inp.user_id)


if __name__ == "__main__":
    with app:
        run = app.start("delete-user", DeleteUser("u-8841"), run_id="delete-u-8841")
        try:
            print(app.result(run))
        except NotApproved as refusal:
            sys.exit(str(refusal))
