"""What a link page shows of a request: to whom it belongs, in which state it is, and every word on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import AssentError, NotInAudience, SelfApproval, StepClosed
from bot.domain.forms import forms
from bot.domain.lifecycle.response_rules import decisions, phrase, wants_phrase
from bot.domain.messages import phrases
from bot.domain.model.digest import payload_digest
from bot.domain.model.request import (
    APPROVE,
    REJECT,
    SKIP,
    Request,
    Respondent,
    RespondentState,
    Response,
    Status,
    Surface,
)
from bot.domain.model.spec import Kind
from bot.domain.people import naming, quorum
from bot.domain.people.audience import Actor, admit, may_still_answer
from bot.domain.policies.payload_views import NO_VIEWS, Views
from bot.rendering import differences, field_value, held, history, step_title
from bot.web.pages.fields import controls
from bot.web.pages.form import Form
from bot.web.pages.payload import payload_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.model.request import Edit


@dataclass(frozen=True, slots=True)
class Opened:
    """A genuine link: its request as it is now, and whose it is. A link that was replaced is not `live`."""

    request: Request
    respondent: Respondent
    live: bool

    @property
    def state(self) -> str:
        """Which page shows it."""
        if not self.live:
            return "reassigned"
        if self.response:
            return "recorded"
        return {Status.PENDING: "open", Status.EXPIRED: "expired", Status.CANCELLED: "cancelled"}.get(
            self.request.status, "decided"
        )

    @property
    def response(self) -> Response | None:
        """Their answer."""
        return self.request.response_of(self.respondent.id)

    @property
    def actor(self) -> Actor:
        """Whoever uses the link."""
        return Actor(keys=frozenset({self.respondent.id}), surface=Surface.EMAIL)

    @property
    def refusal(self) -> AssentError | None:
        """Why nothing they do could count now, as far as that is known before Slack is asked for memberships."""
        member = Actor(
            keys=self.actor.keys, surface=Surface.EMAIL, memberships=frozenset(self.respondent.via)
        )
        try:
            admit(self.request, member, new_id="")
        except (SelfApproval, StepClosed, NotInAudience) as refusal:
            return refusal
        except AssentError:
            return None
        return None

    @property
    def may_answer(self) -> bool:
        """Whether an answer is still wanted of them."""
        return self.state == "open" and self.refusal is None

    @property
    def holder(self) -> Respondent | None:
        """Who has it now that they handed it on."""
        takers = {r.delegate_of: r for r in self.request.respondents if r.delegate_of}
        taker = takers.get(self.respondent.id)
        while taker and taker.state is RespondentState.DELEGATED and taker.id in takers:
            taker = takers[taker.id]
        return taker


def context(opened: Opened, views: Views = NO_VIEWS, **more: Any) -> dict[str, Any]:
    """The names in the templates of a genuine link; `more` says what was wrong with what was sent."""
    request, respondent, response = opened.request, opened.respondent, opened.response
    spec = request.spec
    form = more.get("form") or Form()
    payload = forms.payload(request)
    return {
        "request": request,
        "spec": spec,
        "respondent": respondent,
        "requester": phrases.requester(request),
        "step": step_title(request),
        "steps": _steps(request),
        "progress": quorum.judge(request).text,
        "waiting": phrases.waiting_for(request),
        "without_answer": phrases.without_answer(request),
        "no_deadline": phrases.NO_DEADLINE,
        "outcome": phrases.outcome(request),
        "held": held(request),
        "receipt": phrases.recorded(request, response) if response else None,
        "response": response,
        "given": _given(request, response),
        "payload": payload,
        "view": payload_view(request, views),
        "payload_digest": payload_digest(payload) if request.values else spec.payload_digest,
        "differences": differences(request, request.edits),
        "history": history(request),
        "holder": naming.label(request, opened.holder) if opened.holder else None,
        "may_withdraw": response and not request.status.final and opened.refusal is None,
        "choices": [(d, _label(d, request)) for d in decisions(spec)],
        "controls": controls(request, form.values),
        "phrase": phrase(spec.verification_phrase or "")
        if any(wants_phrase(spec, d) for d in decisions(spec))
        else None,
        "seen": seen(request),
        "form": form,
        "faults": {},
        "notice": None,
        "news": None,
        **more,
    }


def _label(decision: str, request: Request) -> str:
    positive = {Kind.INPUT: "Approve and send", Kind.FEEDBACK: "Give feedback"}
    built_in = {APPROVE: positive.get(request.spec.kind, "Approve"), REJECT: "Reject", SKIP: "Skip"}
    return next((c.label for c in request.spec.choices if c.id == decision), built_in.get(decision, decision))


def _given(request: Request, response: Response | None) -> list[tuple[str, str]]:
    """The values that came with an answer, by the titles of their fields."""
    values: Mapping[str, Any] = (response and response.values) or {}
    return [(f.title, field_value(f, values[f.name])) for f in forms.fields(request) if f.name in values]


def _steps(request: Request) -> list[dict[str, Any]]:
    """Each step with its people and where they stand."""
    alike = naming.alike(request)
    return [
        {
            "title": step_title(request, index),
            "progress": _progress(request, index),
            "people": [
                (naming.label_in(alike, r), _standing(request, r))
                for r in request.respondents
                if r.step == index
            ],
        }
        for index in range(len(request.spec.steps))
    ]


def _progress(request: Request, index: int) -> str:
    if index < request.step:
        return "done"
    if index > request.step:
        return "not reached" if request.status.final else "not open yet"
    return str(request.status) if request.status.final else "open now"


def _standing(request: Request, respondent: Respondent) -> str:
    silent = respondent.state is RespondentState.WAITING
    over = request.status.final or respondent.step < request.step
    if silent and respondent.step > request.step:
        words = "not asked" if request.status.final else "not asked yet"
    elif silent and (over or not may_still_answer(request, respondent)):
        words = "no answer"
    elif respondent.state is RespondentState.DELEGATED:
        words = "handed it on"
    else:
        words = str(respondent.state)
    giver = request.respondent(respondent.delegate_of) if respondent.delegate_of else None
    before = naming.label(request, giver) if giver else None
    level = min(respondent.levels)
    notes = [
        f"in place of {before}" if before else "",
        request.spec.escalation[level - 1].name if level else "",
    ]
    return ", ".join([words, *filter(None, notes)])


def seen(request: Request) -> str:
    """What the page shows, for `changes` and `edits_since` to find out later what has changed."""
    return ".".join([str(len(request.edits)), *_fingerprints(request).values()])


def changes(shown: str, request: Request) -> list[str]:
    """The names of the parts that are no longer as the person saw them."""
    now = _fingerprints(request)
    before = dict(zip(now, shown.split(".")[1:], strict=False))
    return [name for name, digest in now.items() if before.get(name, digest) != digest]


def edits_since(shown: str, request: Request) -> Sequence[Edit]:
    """The values that were changed after the person saw them."""
    number = shown.partition(".")[0]
    return request.edits[int(number) :] if number.isascii() and number.isdecimal() and len(number) < 9 else ()


def _fingerprints(request: Request) -> dict[str, str]:
    """A short digest of each part that people read, by its name."""
    spec = request.spec
    parts = {
        "title": spec.title,
        "message": spec.message,
        "details": spec.details,
        "payload": payload_digest(forms.payload(request)),
        "deadline": str(request.deadline),
        "rules": [str(spec.kind), str(spec.level), *decisions(spec), str(request.current.quorum)],
    }
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12] for name, part in parts.items()}
