"""An agent that asks people through `assent mcp`, which it starts itself.

Needs ASSENT_URL and ASSENT_API_KEY, and `pip install 'assent[mcp]'`; asks ASSENT_AUDIENCE.
"""

from __future__ import annotations

import asyncio
import os
import sys

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters


async def main() -> None:
    assent = StdioServerParameters(command=sys.executable, args=["-m", "bot", "mcp"], env=dict(os.environ))
    question = {
        "title": "Refund €1,250 to customer 8841",
        "message": "Order 5531 arrived broken.",
        "payload": {"customer": "8841", "amount": 1250},
        "audience": [os.environ.get("ASSENT_AUDIENCE", "email:you@example.com")],
    }
    async with Client(assent) as client:
        state = (await client.call_tool("request_approval", question)).structured_content
        while state["status"] == "pending":
            state = (await client.call_tool("wait_for_approval", {"id": state["id"]})).structured_content
    if state["approved"]:
        print(f"refunding {state['payload']['amount']} to {state['payload']['customer']}")
    else:
        print(f"not refunding: {state['status']} by {state['by']}: {state['reason']}")


if __name__ == "__main__":
    asyncio.run(main())
