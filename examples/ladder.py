"""The ladder agent → senior agent → human → manager: who is not sure, fails or finds it sensitive asks the next one.

The agents are scripted, so it needs no model, only ASSENT_URL and ASSENT_API_KEY; it asks ASSENT_AUDIENCE, and as
managers ASSENT_MANAGERS. Each level is a step or a gate of one durable run, so a crash on the ladder loses nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from bot.workflows import Ctx, Durable

if TYPE_CHECKING:
    from bot.client import Outcome

AUDIENCE = os.environ.get("ASSENT_AUDIENCE", "email:you@example.com").split(",")
MANAGERS = os.environ.get("ASSENT_MANAGERS", ",".join(AUDIENCE)).split(",")
SURE = 0.7
"""Confidence below which an agent asks the next level."""

app = Durable()


class Answer(TypedDict, total=False):
    """What a level says."""

    text: str
    confidence: float
    error: str
    sensitive: bool


class Escalation(TypedDict):
    """One step up the ladder."""

    source: str
    to: str
    reason: str


def agent(task: str) -> Answer:
    """Answer as a small model might."""
    return {"text": f"Refund for {task}: yes?", "confidence": 0.4}


def senior_agent(task: str) -> Answer:
    """Answer as a larger model might: surer, but it sees that money is at stake."""
    return {"text": f"Refund €1,250 for {task}", "confidence": 0.9, "sensitive": True}


def doubt(answer: Answer) -> str | None:
    """Say why an answer goes to the next level, None if it stands."""
    if answer.get("error"):
        return answer["error"]
    if answer.get("sensitive"):
        return "sensitive"
    return "low confidence" if answer.get("confidence", 1.0) < SURE else None


@app.workflow("ladder")
async def ladder(ctx: Ctx, task: str) -> dict[str, object]:
    """Climb until a level stands by its answer."""
    history: list[Escalation] = []
    answer = await ctx.step("agent", agent, task)
    if reason := doubt(answer):
        history.append({"source": "agent", "to": "senior_agent", "reason": reason})
        answer = await ctx.step("senior_agent", senior_agent, task)
    if not (reason := doubt(answer)):
        return {"answer": answer["text"], "by": "agents", "history": history}

    history.append({"source": "senior_agent", "to": "human", "reason": reason})
    human = await ask(ctx, "human", answer, history, AUDIENCE)
    if human:
        return {"answer": answer["text"], "by": human.by, "history": history}

    history.append({"source": "human", "to": "manager", "reason": human.reason or human.status})
    manager = await ask(ctx, "manager", answer, history, MANAGERS)
    return {"answer": answer["text"] if manager else "refused", "by": manager.by, "history": history}


async def ask(
    ctx: Ctx, level: str, answer: Answer, history: list[Escalation], audience: list[str]
) -> Outcome:
    """Stand at a gate with the full context, and go on whatever is decided there."""
    return await ctx.require_approval(
        level,
        f"{answer['text']}?",
        details={f"{step['source']} → {step['to']}": step["reason"] for step in history},
        payload={**answer},
        audience=audience,
        on_reject="continue",
    )


if __name__ == "__main__":
    with app:
        outcome = app.result(app.start("ladder", "order 5531"))
        for step in outcome["history"]:
            print(f"{step['source']} → {step['to']}: {step['reason']}")
        print(f"{outcome['answer']}, by {outcome['by']}")
