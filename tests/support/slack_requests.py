"""Requests as Slack has to show them: plain ones, and the nastiest that a requester may send."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.model.digest import payload_digest
from bot.domain.model.request import (
    Comment,
    Edit,
    HistoryEntry,
    Outcome,
    Request,
    ResolvedBy,
    Respondent,
    RespondentState,
    Response,
    Status,
    Surface,
)
from bot.domain.model.spec import EscalationLevel, Spec, Step

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANA = Respondent(id="rsp_ana", name="Ana", slack_user_id="U0ANA", via=("slack:U0ANA",))
CY = Respondent(id="rsp_cy", name="Cy", slack_user_id="U0CY", via=("slack:U0CY",))
BEN = Respondent(id="rsp_ben", name="Ben", slack_user_id="U0BEN", via=("slack:U0BEN",))

PINGS = "<!channel> @here <@U0123456789> <#C0123456789> <!subteam^S1> @everyone #general"
NASTY = {
    "pings": PINGS,
    "html": "<script>alert(1)</script> &amp; <b>bold</b> &lt;!channel&gt;",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 900,
    "right to left": "\u202egnissap\u202c مرحبا بالعالم " * 300,
    "controls": "\x00\x1b[31m\u200f\u2066\r\n\u2028" * 10,
    "long": "All work and no play. " * 2000,
    "one grapheme": "e" + "\u0301" * 5000,
    "markdown": "**a** _b_ `c` " * 900 + "\n\n> q\n\n1. x\n   - y\n\n```\ncode\n```\n" + "#" * 400,
    "deep": "> " * 200 + "- " * 200 + "deep",
    "blank": " \t\n\u200f ",
}


def asked(*, pending: tuple[Respondent, ...] = (ANA, BEN), **spec: Any) -> Request:
    """An open request; `spec` replaces members of a small ordinary one."""
    payload = spec.setdefault("payload", {"tool": "refund", "amount": 1250, "customer": "8841"})
    members = {
        "title": "Refund €1,250 to customer 8841",
        "message": "Order 5531 arrived broken. *Evidence* in the ticket.",
        "details": {"Order": "5531", "Requested by": "support-agent"},
        "payload_digest": payload_digest(payload),
        "requester": "email:bob@example.com",
        "source_url": "https://ci.example.com/run/1",
        "steps": (Step(audience=("slack:U0ANA", "slack:U0BEN"), quorum=2),),
    }
    return Request(
        id="req_01",
        spec=Spec(**members | spec),
        respondents=pending,
        created_at=NOW,
        opened_at=NOW,
        timeout_at=NOW + HOUR,
    )


def answered(request: Request, decision: str = "approve", reason: str | None = None) -> Request:
    """The same with Ana's answer in it."""
    state = RespondentState.REJECTED if decision == "reject" else RespondentState.APPROVED
    answer = Response(
        respondent=ANA.id, decision=decision, reason=reason, surface=Surface.SLACK, at=NOW + HOUR / 4
    )
    people = tuple(replace(r, state=state) if r.id == ANA.id else r for r in request.respondents)
    return replace(request, version=2, respondents=people, responses=(answer,))


def eventful(request: Request, text: str = "Wrong customer", number: int = 3) -> Request:
    """The same after much has happened to it, told in these words: the second of three steps, on the ladder."""
    form = {"type": "object", "properties": {"amount": {"type": "number", "title": text or "Amount"}}}
    steps = tuple(replace(request.spec.steps[0], name=f"{text} {n}") for n in range(3))
    ladder = tuple(
        EscalationLevel(name=f"{text} {n}", audience=("slack:U0CY",), after_seconds=900) for n in range(2)
    )
    comments = [
        Comment(by=text, respondent=ANA.id, text=text or "?", surface=Surface.SLACK, at=NOW),
        Comment(by="Bob", text=text or "?", surface=Surface.API, at=NOW),
    ]
    people = tuple(
        replace(r, step=1, delegate_of=CY.id if r.id == BEN.id else None) for r in request.respondents
    )
    return replace(
        request,
        spec=replace(request.spec, form=form, steps=steps, escalation=ladder),
        step=1,
        respondents=(*people, replace(CY, name=text or None, step=1, state=RespondentState.DELEGATED)),
        escalated=(1,),
        edits=tuple(Edit(field="amount", old=text, new=n, by=text, at=NOW) for n in range(number)),
        comments=tuple((comments * number)[:number]),
        trail=tuple(HistoryEntry(at=NOW, text=f"{text} {n}.") for n in range(number)),
        values={"amount": 900},
    )


def resolved(
    request: Request,
    status: Status,
    *,
    by: str = "Ana",
    reason: str | None = None,
    resolved_by: ResolvedBy = ResolvedBy.RESPONDENTS,
    choice: str | None = None,
) -> Request:
    """The same, final."""
    outcome = Outcome(
        decision=status,
        choice=choice,
        reason=reason,
        resolved_by=resolved_by,
        surface=Surface.SLACK,
        by=by,
    )
    return replace(request, status=status, outcome=outcome, version=3, resolved_at=NOW + HOUR / 2)


def nasty(text: str) -> Request:
    """A request in which everything that a requester or a respondent may write is `text`."""
    people = (replace(ANA, name=text or None), replace(BEN, name=None, email=text))
    request = asked(
        pending=people,
        title=text or "?",
        message=text,
        details={f"{text}{number}": text for number in range(200)},
        payload={"text": text, text: [text, {"again": text}]},
        requester=text or None,
        source_url=f"https://ci.example.com/{text.replace(' ', '')}",
        verification_phrase=text or None,
        labels={text: text},
    )
    return answered(request, "reject", text)
