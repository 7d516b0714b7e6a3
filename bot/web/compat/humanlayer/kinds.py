"""The protocol's two kinds of request, and what they are here.

A function call becomes a request to approve; a question one of kind `choice`, whose choices are the response options
and a free reply. What the protocol wants back and we have no place for travels in the payload, under `humanlayer`.
The client takes a rejection without a comment for an error, so each has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Fault, Invalid, StaleRevision
from bot.domain.messages import phrases
from bot.domain.model.request import APPROVE, REJECT, Json, Request, Status
from bot.web.compat.humanlayer.models import (
    ContactAnswer,
    FunctionAnswer,
    FunctionCallBody,
    FunctionCallSpec,
    HumanContactBody,
    HumanContactSpec,
    ResponseOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPLY = "reply"
"""The choice that stands for an answer in one's own words."""

EXTENSION = "assent"
"""The member of `state` that may hold fields of a submission which the protocol has no place for."""

EXTENDED = frozenset({"on_timeout", "quorum", "remind_after_seconds", "timeout_at", "timeout_seconds"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of request: the path of its routes, and what they take.

    `submission` makes the fields of our own, raising `Invalid`; `sent` reads out of ours what the client sent, raising
    `StaleRevision`; `status` says what became of it; `decision` makes an answer a decision and its reason, raising
    `Invalid`.
    """

    path: str
    body: type[FunctionCallBody | HumanContactBody]
    submission: Callable[[Any], dict[str, Json]]
    sent: Callable[[Request], FunctionCallBody | HumanContactBody]
    status: Callable[[Request, Any], dict[str, Json]]
    decision: Callable[[Any, Any], tuple[str, str | None]]


def _asked(body: FunctionCallBody | HumanContactBody, fields: dict[str, Json]) -> dict[str, Json]:
    """What both kinds submit, with the further fields that `state` names."""
    channel, more = body.spec.channel, (body.spec.state or {}).get(EXTENSION, {})
    if not isinstance(more, dict) or more.keys() - EXTENDED:
        known = ", ".join(sorted(EXTENDED))
        raise Invalid([Fault(f"/spec/state/{EXTENSION}", f"must be an object with some of: {known}")])
    who = {"audience": (channel.audience() or None) if channel else None, "requester": body.run_id}
    return {name: value for name, value in {**fields, **who, **more}.items() if value is not None}


def _kept(body: FunctionCallBody | HumanContactBody, *shown: str) -> dict[str, Json]:
    """What the client sent but for the members of its `spec` that people are shown."""
    return body.model_dump(mode="json", exclude={"spec": set(shown)}, exclude_none=True)


def _restored(request: Request, **shown: Json) -> dict[str, Json]:
    """What the client sent; raises `StaleRevision` where people were asked something else since."""
    if request.revision > 1:
        raise StaleRevision(
            "The question was changed after this call had asked it, so an answer is not about the call any more. "
            "Ask again, with a new call_id."
        )
    kept = request.spec.payload["humanlayer"]
    return {**kept, "spec": {**kept["spec"], **shown}}


def _submitted_function(body: FunctionCallBody) -> dict[str, Json]:
    spec, options = body.spec, body.spec.reject_options or []
    lines = [f"- {o.name}: {o.label}. {o.description or ''}".strip() for o in options]
    title = "To reject with one of these, begin the reason with its name:"
    return _asked(
        body,
        {
            "title": f"Call {spec.fn}",
            "message": "\n".join([title, "", *lines]) if lines else "",
            "payload": {"tool": spec.fn, "kwargs": spec.kwargs, "humanlayer": _kept(body, "fn", "kwargs")},
        },
    )


def _sent_function(request: Request) -> FunctionCallBody:
    payload = request.spec.payload
    return FunctionCallBody.model_validate(_restored(request, fn=payload["tool"], kwargs=payload["kwargs"]))


def _function_status(request: Request, spec: FunctionCallSpec) -> dict[str, Json]:
    if request.outcome is None:
        return {"approved": None, "comment": None, "reject_option_name": None}
    if request.outcome.decision is Status.APPROVED:
        return {"approved": True, "comment": request.outcome.reason, "reject_option_name": None}
    comment, option = _rejected(_words(request), spec.reject_options or [])
    return {"approved": False, "comment": comment, "reject_option_name": option}


def _rejected(reason: str, options: Sequence[ResponseOption]) -> tuple[str, str | None]:
    """The comment in a reason, and the name of the option that it begins with, if any."""
    for option in options:
        for name in (option.name, option.label):
            head, rest = reason[: len(name)], reason[len(name) :].strip()
            if head.casefold() == name.casefold() and rest[:1] in {"", ":"}:
                return rest[1:].strip() or option.words, option.name
    return reason, None


def _decided_function(answer: FunctionAnswer, spec: FunctionCallSpec) -> tuple[str, str | None]:
    name = answer.reject_option_name
    if name is None:
        return (APPROVE if answer.approved else REJECT), answer.comment
    _option(name, spec.reject_options, "/reject_option_name")
    if answer.approved:
        raise Invalid([Fault("/reject_option_name", "goes with a rejection; leave it out, or reject")])
    return REJECT, f"{name}: {answer.comment or ''}".removesuffix(": ")


def _submitted_contact(body: HumanContactBody) -> dict[str, Json]:
    spec, options = body.spec, body.spec.response_options or []
    subject = spec.subject or (spec.channel.email.subject if spec.channel and spec.channel.email else None)
    choices = [{"id": f"option-{i}", "label": option.label} for i, option in enumerate(options, 1)]
    return _asked(
        body,
        {
            "title": (subject or "").strip() or "A question from an agent",
            "message": spec.msg,
            "kind": "choice",
            "choices": [*choices, {"id": REPLY, "label": "Reply"}],
            "reason": "optional" if options else "required",
            "payload": {"humanlayer": _kept(body, "msg")},
        },
    )


def _sent_contact(request: Request) -> HumanContactBody:
    return HumanContactBody.model_validate(_restored(request, msg=request.spec.message))


def _contact_status(request: Request, spec: HumanContactSpec) -> dict[str, Json]:
    outcome = request.outcome
    if outcome is None:
        return {"response": None, "response_option_name": None}
    chosen = {f"option-{i}": o for i, o in enumerate(spec.response_options or [], 1)}.get(
        outcome.choice or ""
    )
    return {
        "response": (outcome.reason or chosen.words) if chosen else _words(request),
        "response_option_name": chosen.name if chosen else None,
    }


def _decided_contact(answer: ContactAnswer, spec: HumanContactSpec) -> tuple[str, str | None]:
    if answer.response_option_name is not None:
        place = _option(answer.response_option_name, spec.response_options, "/response_option_name")
        return f"option-{place}", answer.response
    if not (answer.response or "").strip():
        raise Invalid([Fault("/response", "is needed: say something, or choose an option")])
    return REPLY, answer.response


def _option(name: str, options: Sequence[ResponseOption] | None, pointer: str) -> int:
    """Which option this is, from 1; raises `Invalid`."""
    names = [option.name for option in options or ()]
    if name not in names:
        raise Invalid([Fault(pointer, f"must be one of: {', '.join(names) or 'none, there are no options'}")])
    return names.index(name) + 1


def _words(request: Request) -> str:
    """The reason that was given, else who decided what and when."""
    given = request.outcome.reason if request.outcome else None
    return given or f"{phrases.outcome(request)}."


FUNCTION = Kind(
    path="function_calls",
    body=FunctionCallBody,
    submission=_submitted_function,
    sent=_sent_function,
    status=_function_status,
    decision=_decided_function,
)
CONTACT = Kind(
    path="contact_requests",
    body=HumanContactBody,
    submission=_submitted_contact,
    sent=_sent_contact,
    status=_contact_status,
    decision=_decided_contact,
)
