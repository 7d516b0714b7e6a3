"""From the body of a submission to what is asked, with every fault that the rules find in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.approvals.validation.url_syntax import url_faults
from bot.domain.errors import Fault, Invalid, NoAudience
from bot.domain.forms.form_schema import form_faults
from bot.domain.forms.forms import read_only_faults
from bot.domain.lifecycle.response_rules import phrase, phrase_fault
from bot.domain.model.digest import canonical_faults, check_canonical, escape_pointer, payload_digest
from bot.domain.model.identity import MAX_NAMED, named
from bot.domain.model.request import APPROVE, REJECT, SKIP
from bot.domain.model.spec import (
    Choice,
    EscalationLevel,
    Hours,
    Kind,
    Level,
    OnTimeout,
    QuorumRule,
    Spec,
    Step,
)
from bot.domain.people.audience import MAX_AUDIENCE, SelectorKind, parse_selector
from bot.domain.people.quorum_rules import rule_faults
from bot.schemas.requests import (
    MAX_TIMEOUT_SECONDS,
    Destination,
    EscalationBody,
    ReviseBody,
    SlackDestination,
    StepBody,
    SubmitBody,
    parse,
)

if TYPE_CHECKING:
    from bot.domain.access.authority import Key
    from bot.domain.model.request import Json

Destinations = Destination | Sequence[Destination] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a request that does not say gets."""

    audience: tuple[str, ...] = ()
    hours: Hours | None = None


def read_submission(body: Json, now: datetime) -> SubmitBody:
    """`body` as a submission; raises `Invalid` with every fault, those of the rules in what is well shaped included."""
    try:
        return parse(SubmitBody, body)
    except Invalid as error:
        raise Invalid([*error.faults, *_faults_beside(body, error.faults, now)]) from None


_READ_TOGETHER = frozenset({"", "kind", "level", "payload", "form", "steps", "escalation"})
"""Members without which the rules cannot tell what is wrong with the others; the empty name is the whole body."""


def _faults_beside(body: Json, known: Sequence[Fault], now: datetime) -> list[Fault]:
    broken = {_member(fault) for fault in known}
    if broken & _READ_TOGETHER:
        return []
    sound = {name: value for name, value in body.items() if escape_pointer(name) not in broken}
    try:
        parsed = parse(SubmitBody, {"title": "-", **sound})
    except Invalid:
        return []
    return [fault for fault in submission_faults(parsed, now) if _member(fault) not in broken]


def _member(fault: Fault) -> str:
    """The member of the body that a fault is about."""
    return fault.pointer[1:].partition("/")[0]


def keeps_from_seating(faults: Iterable[Fault]) -> bool:
    """Whether faults leave it open who is asked, so that nobody can be looked for."""
    return any(_member(fault) in _SEATING for fault in faults)


_SEATING = frozenset({"audience", "destination", "requester", "quorum", "steps", "escalation", "payload"})


def build_spec(body: SubmitBody, defaults: Defaults, now: datetime, *, key: Key | None = None) -> Spec:
    """What `body`, which has no faults that keep from seating, asks; raises `NoAudience` for nobody."""
    remind = body.remind_after_seconds
    return Spec(
        title=body.title,
        message=body.message,
        details={k: _text(v) for k, v in body.details.items()},
        payload=body.payload,
        payload_digest=payload_digest(body.payload),
        form=body.form,
        kind=body.kind,
        choices=tuple(Choice(id=c.id, label=c.label, style=c.style) for c in body.choices),
        feedback_type=body.feedback_type,
        level=body.level,
        verification_phrase=phrase(body.verification_phrase) if body.verification_phrase else None,
        reason=body.reason,
        allow_skip=body.allow_skip,
        allow_self_approval=body.allow_self_approval,
        requester=body.requester,
        labels={k: _text(v) for k, v in body.labels.items()},
        source_url=body.source_url,
        callback_url=body.callback_url,
        submitted_by=key.id if key else None,
        submitted_by_name=key.name if key else None,
        steps=_steps(body, defaults.audience),
        escalation=tuple(_level(level) for level in body.escalation),
        remind_after_seconds=tuple(sorted(set(remind))) if isinstance(remind, list) else (),
        remind_every_seconds=None if isinstance(remind, list) else remind,
        grace_seconds=body.grace_seconds,
        hours=defaults.hours,
        timeout_seconds=_seconds(body, now),
        on_timeout=body.on_timeout,
    )


def revision(spec: Spec, body: ReviseBody) -> dict[str, Any]:
    """The fields of `spec` that `body` asks instead; raises `Invalid`."""
    changes: dict[str, Any] = {}
    if body.title is not None:
        changes["title"] = body.title
    if body.message is not None:
        changes["message"] = body.message
    if body.details is not None:
        changes["details"] = {k: _text(v) for k, v in body.details.items()}
    if "payload" in body.model_fields_set:
        check_canonical(body.payload, "/payload")
        if faults := _payload_faults(spec.form, body.payload):
            raise Invalid(faults)
        changes |= {"payload": body.payload, "payload_digest": payload_digest(body.payload)}
    if not changes:
        raise Invalid([Fault("", "changes nothing; give a title, message, details or payload")])
    return changes


def _payload_faults(form: Mapping[str, Any] | None, payload: Json) -> list[Fault]:
    """What is wrong with a payload that is put in the place of another under the same form."""
    if form is None:
        return []
    return [f for f in form_faults(form, payload) if f.pointer == "/payload"] or read_only_faults(
        form, payload
    )


def submission_faults(body: SubmitBody, now: datetime) -> list[Fault]:
    """What the rules find wrong with a submission, each fault with its place."""
    faults = [
        *canonical_faults(body.payload, "/payload"),
        *_choice_faults(body),
        *_kind_faults(body),
        *_level_faults(body),
        *_time_faults(body, now),
        *_rule_faults(body, body.quorum, "/quorum"),
        *audience_faults(body.audience, body.destination),
    ]
    if body.source_url:
        faults += url_faults(body.source_url, "/source_url")
    if body.requester and body.requester.lower().startswith(("email:", "slack:")):
        faults += selector_faults([body.requester], "/requester")
    if body.requester and len(named(body.requester).keys) > MAX_NAMED:
        faults.append(Fault("/requester", f"names more than {MAX_NAMED} people; say who asks"))
    if body.steps is not None and not 1 <= len(body.steps) <= MAX_STEPS:
        faults.append(Fault("/steps", f"must be 1 to {MAX_STEPS} steps"))
    for index, step in enumerate((body.steps or ())[:MAX_STEPS]):
        faults += _rule_faults(body, step.quorum, f"/steps/{index}/quorum")
        faults += _stage_faults(step, f"/steps/{index}")
    if len(body.escalation) > MAX_LEVELS:
        faults.append(Fault("/escalation", f"has more than {MAX_LEVELS} levels"))
    for index, level in enumerate(body.escalation[:MAX_LEVELS]):
        faults += _rule_faults(body, level.quorum, f"/escalation/{index}/quorum")
        faults += _stage_faults(level, f"/escalation/{index}")
        if not level.audience and not _listed(level.destination):
            faults.append(
                Fault(f"/escalation/{index}/audience", "names nobody; say who is asked at this level")
            )
    return faults


MAX_STEPS = 20
MAX_LEVELS = 10


def _stage_faults(stage: StepBody | EscalationBody, pointer: str) -> list[Fault]:
    return [
        Fault(f"{pointer}{fault.pointer}", fault.detail)
        for fault in audience_faults(stage.audience, stage.destination)
    ]


def _rule_faults(body: SubmitBody, rule: QuorumRule | None, pointer: str) -> list[Fault]:
    if body.kind is Kind.CHOICE and isinstance(rule, dict):
        return [Fault(pointer, "counts one choice's votes, so it must be a number, `all` or `majority` here")]
    return [] if rule is None else rule_faults(rule, pointer)


def _steps(body: SubmitBody, default_audience: tuple[str, ...]) -> tuple[Step, ...]:
    if body.steps is None:
        audience = selectors(body.audience, body.destination, default_audience)
        return (Step(audience=audience, quorum=_quorum(body, audience), reject_quorum=body.reject_quorum),)
    named = (*(body.audience or ()), *(_selector(d) for d in _listed(body.destination)))
    return tuple(_step(body, step, named or default_audience) for step in body.steps)


def _step(body: SubmitBody, step: StepBody, default_audience: tuple[str, ...]) -> Step:
    audience = selectors(step.audience, step.destination, default_audience)
    return Step(
        name=step.name,
        audience=audience,
        quorum=_quorum(body, audience) if step.quorum is None else step.quorum,
        reject_quorum=body.reject_quorum if step.reject_quorum is None else step.reject_quorum,
        timeout_seconds=step.timeout_seconds,
        on_timeout=step.on_timeout,
    )


def _quorum(body: SubmitBody, audience: Sequence[str]) -> QuorumRule:
    """Feedback is wanted from everybody; from a channel, from whoever gives it before the deadline."""
    if body.kind is not Kind.FEEDBACK or "quorum" in body.model_fields_set:
        return body.quorum
    if any(parse_selector(s).kind is SelectorKind.SLACK_CHANNEL for s in audience):
        return MAX_ANSWERS
    return "all"


MAX_ANSWERS = 1000


def _level(body: EscalationBody) -> EscalationLevel:
    return EscalationLevel(
        name=body.name,
        audience=selectors(body.audience, body.destination, ()),
        after_seconds=body.after_seconds,
        quorum=body.quorum,
        replace=body.replace,
    )


def deadline(body: SubmitBody, now: datetime) -> datetime | None:
    """When the request times out, if ever."""
    if body.timeout_seconds is not None:
        return now + timedelta(seconds=body.timeout_seconds)
    return body.timeout_at


def _seconds(body: SubmitBody, now: datetime) -> float | None:
    if body.timeout_at is not None:
        return (body.timeout_at - now).total_seconds()
    return body.timeout_seconds


def selectors(
    audience: Sequence[str] | None, destination: Destinations, default_audience: tuple[str, ...]
) -> tuple[str, ...]:
    """The selectors that a body names, by audience and by destination, else the configured ones."""
    named = (*(audience or ()), *(_selector(d) for d in _listed(destination))) or default_audience
    if not named:
        raise NoAudience(
            "The request names nobody: give an `audience` (or a `destination`), or set ASSENT_DEFAULT_AUDIENCE."
        )
    return tuple(dict.fromkeys(named))


def _listed(destination: Destinations) -> Sequence[Destination]:
    if destination is None:
        return ()
    return destination if isinstance(destination, Sequence) else (destination,)


def _selector(destination: Destination) -> str:
    if isinstance(destination, SlackDestination):
        return f"slack:{destination.userId or destination.channelId or destination.email}"
    return f"email:{destination.email}"


def named_in(body: SubmitBody) -> int:
    """How many selectors a submission has, in all its steps and levels."""
    parts = (body, *(body.steps or ()), *body.escalation)
    return sum(len(part.audience or ()) + len(_listed(part.destination)) for part in parts)


def audience_faults(audience: Sequence[str] | None, destination: Destinations) -> list[Fault]:
    """What is wrong with the selectors that a body names."""
    number = len(audience or ()) + len(_listed(destination))
    if number > MAX_AUDIENCE:
        pointer = "/audience" if audience else "/destination"
        return [Fault(pointer, f"names {number:,}; one audience has at most {MAX_AUDIENCE:,} people")]
    return [*selector_faults(audience or (), "/audience"), *_destination_faults(destination)]


def _destination_faults(destination: Destinations) -> list[Fault]:
    many = isinstance(destination, Sequence)
    faults = []
    for index, item in enumerate(_listed(destination)):
        pointer = f"/destination/{index}" if many else "/destination"
        given = sorted(item.model_dump(exclude_none=True).keys() - {"type"})
        if len(given) == 1:
            found = selector_faults([_selector(item)], pointer)
            faults += [Fault(f"{pointer}/{given[0]}", fault.detail) for fault in found]
        else:
            faults.append(Fault(pointer, "give exactly one of email, userId and channelId"))
    return faults


def selector_faults(texts: Iterable[str], pointer: str) -> list[Fault]:
    """What is wrong with selectors, each with its place under `pointer`."""
    faults = []
    for index, text in enumerate(texts):
        try:
            parse_selector(text)
        except ValueError as error:
            faults.append(Fault(pointer if pointer == "/requester" else f"{pointer}/{index}", str(error)))
    return faults


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a JSON scalar, not a flag
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choice_faults(body: SubmitBody) -> list[Fault]:
    ids = [c.id for c in body.choices]
    if body.kind is not Kind.CHOICE:
        return [Fault("/choices", "are for kind `choice`; set it, or leave the choices out")] if ids else []
    faults = []
    if not ids:
        faults.append(Fault("/choices", "a request of kind `choice` needs at least one choice"))
    if len(ids) > MAX_CHOICES:
        return [Fault("/choices", f"are more than {MAX_CHOICES}; a Slack select holds no more")]
    faults += [
        Fault(f"/choices/{i}/id", "is used twice or is a built-in decision; ids must differ")
        for i, choice in enumerate(ids)
        if choice in ids[:i] or choice in {APPROVE, REJECT, SKIP}
    ]
    return faults


MAX_CHOICES = 100


def _kind_faults(body: SubmitBody) -> list[Fault]:
    faults = []
    if body.kind is Kind.INPUT and body.form is None:
        faults.append(
            Fault("/form", "a request of kind `input` needs a form: a JSON Schema of what to fill in")
        )
    if body.kind is Kind.FEEDBACK and body.form is not None:
        faults.append(Fault("/form", "feedback has its own form of a score and a comment; leave this out"))
    elif body.form is not None:
        faults += form_faults(body.form, body.payload) or read_only_faults(body.form, body.payload)
    if body.kind is not Kind.FEEDBACK and body.feedback_type is not None:
        faults.append(Fault("/feedback_type", "is for kind `feedback`; set it, or leave the type out"))
    return faults


def _level_faults(body: SubmitBody) -> list[Fault]:
    if body.level is Level.VERIFY and not body.verification_phrase:
        return [Fault("/verification_phrase", "level `verify` needs the phrase that people must type")]
    if body.level is not Level.VERIFY and body.verification_phrase:
        return [Fault("/verification_phrase", "is for level `verify`; set it, or leave the phrase out")]
    fault = phrase_fault(body.verification_phrase) if body.verification_phrase else None
    return [Fault("/verification_phrase", fault)] if fault else []


MIN_REPEAT_SECONDS = 1


def _time_faults(body: SubmitBody, now: datetime) -> list[Fault]:
    faults = []
    if body.timeout_seconds is not None and body.timeout_at is not None:
        faults.append(Fault("/timeout_at", "give either timeout_seconds or timeout_at, not both"))
    if isinstance(body.remind_after_seconds, float) and body.remind_after_seconds < MIN_REPEAT_SECONDS:
        faults.append(
            Fault(
                "/remind_after_seconds", f"repeats every {MIN_REPEAT_SECONDS} s at most; give a larger number"
            )
        )
    if body.timeout_at is not None and body.timeout_at <= now:
        faults.append(Fault("/timeout_at", "is in the past; give an instant to come"))
    if body.timeout_at is not None and body.timeout_at > now + timedelta(seconds=MAX_TIMEOUT_SECONDS):
        faults.append(
            Fault(
                "/timeout_at",
                "is more than a hundred years away; give an earlier one, or none to wait for ever",
            )
        )
    rules = {"/on_timeout": body.on_timeout} | {
        f"/steps/{index}/on_timeout": step.on_timeout for index, step in enumerate(body.steps or ())
    }
    faults += [
        Fault(pointer, "`escalate` needs an `escalation` that says to whom")
        for pointer, rule in rules.items()
        if rule is OnTimeout.ESCALATE and not body.escalation
    ]
    if why_not := _silence_cannot(body):
        faults += [Fault(p, why_not) for p, rule in rules.items() if rule is OnTimeout.APPROVE]
    return faults


def _silence_cannot(body: SubmitBody) -> str | None:
    """Why a deadline cannot approve this, if it cannot."""
    if body.level is Level.VERIFY:
        return "`approve` would approve without anybody typing the phrase; use another rule, or another level"
    if body.kind in {Kind.CHOICE, Kind.INPUT}:
        what = "choose" if body.kind is Kind.CHOICE else "fill in the form"
        return f"`approve` cannot {what}; use `expire`, `reject`, `skip` or `escalate`"
    return None
