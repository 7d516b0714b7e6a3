"""From the body of a submission to what is asked, with every fault that the rules find in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.domain.audience import parse_selector
from bot.domain.digest import check_canonical, payload_digest
from bot.domain.errors import Fault, Invalid, NoAudience
from bot.domain.request import APPROVE, REJECT, SKIP, Choice, Kind, Level, OnTimeout, Spec, Step
from bot.wire import MAX_TIMEOUT_SECONDS, Destination, SlackDestination, SubmitBody

Destinations = Destination | Sequence[Destination] | None


def build_spec(
    body: SubmitBody, default_audience: tuple[str, ...], now: datetime, known: Sequence[Fault] = ()
) -> Spec:
    """What `body` asks; raises `Invalid` with every fault and those `known` before, or `NoAudience` for nobody."""
    check_canonical(body.payload, "/payload")
    faults = [*known, *_not_yet(body), *_choice_faults(body), *_level_faults(body), *_time_faults(body, now)]
    if body.requester and body.requester.lower().startswith(("email:", "slack:")):
        faults += _selector_faults([body.requester], "/requester")
    faults += audience_faults(body.audience, body.destination)
    if faults:
        raise Invalid(faults)
    return Spec(
        title=body.title,
        message=body.message,
        details={k: _text(v) for k, v in body.details.items()},
        payload=body.payload,
        payload_digest=payload_digest(body.payload),
        kind=body.kind,
        choices=tuple(Choice(id=c.id, label=c.label, style=c.style) for c in body.choices),
        level=body.level,
        verification_phrase=body.verification_phrase,
        reason=body.reason,
        allow_skip=body.allow_skip,
        allow_self_approval=body.allow_self_approval,
        requester=body.requester,
        labels={k: _text(v) for k, v in body.labels.items()},
        source_url=body.source_url,
        callback_url=body.callback_url,
        steps=(
            Step(
                audience=selectors(body.audience, body.destination, default_audience),
                quorum=body.quorum,
                reject_quorum=body.reject_quorum,
            ),
        ),
        on_timeout=body.on_timeout,
    )


def deadline(body: SubmitBody, now: datetime) -> datetime | None:
    """When the request times out, if ever."""
    if body.timeout_seconds is not None:
        return now + timedelta(seconds=body.timeout_seconds)
    return body.timeout_at


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


def audience_faults(audience: Sequence[str] | None, destination: Destinations) -> list[Fault]:
    """What is wrong with the selectors that a body names."""
    return [*_selector_faults(audience or (), "/audience"), *_destination_faults(destination)]


def _destination_faults(destination: Destinations) -> list[Fault]:
    many = isinstance(destination, Sequence)
    faults = []
    for index, item in enumerate(_listed(destination)):
        pointer = f"/destination/{index}" if many else "/destination"
        given = sorted(item.model_dump(exclude_none=True).keys() - {"type"})
        if len(given) == 1:
            found = _selector_faults([_selector(item)], pointer)
            faults += [Fault(f"{pointer}/{given[0]}", fault.detail) for fault in found]
        else:
            faults.append(Fault(pointer, "give exactly one of email, userId and channelId"))
    return faults


def _selector_faults(texts: Iterable[str], pointer: str) -> list[Fault]:
    faults = []
    for index, text in enumerate(texts):
        try:
            parse_selector(text)
        except ValueError as error:
            faults.append(Fault(pointer if pointer == "/requester" else f"{pointer}/{index}", str(error)))
    return faults


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a JSON scalar, not a flag
    return str(value).lower() if isinstance(value, bool) else str(value)


def _not_yet(body: SubmitBody) -> list[Fault]:
    """What the model has a place for, but this version does not do: refused, never ignored."""
    asked = {
        "/steps": body.steps is not None,
        "/escalation": bool(body.escalation),
        "/form": body.form is not None,
        "/remind_after_seconds": body.remind_after_seconds is not None,
        "/quorum": isinstance(body.quorum, dict),
        "/kind": body.kind in {Kind.INPUT, Kind.FEEDBACK},
        "/on_timeout": body.on_timeout is OnTimeout.ESCALATE and bool(body.escalation),
    }
    return [Fault(pointer, "is not available in this version yet") for pointer, used in asked.items() if used]


def _choice_faults(body: SubmitBody) -> list[Fault]:
    ids = [c.id for c in body.choices]
    if body.kind is not Kind.CHOICE:
        return [Fault("/choices", "are for kind `choice`; set it, or leave the choices out")] if ids else []
    faults = []
    if not ids:
        faults.append(Fault("/choices", "a request of kind `choice` needs at least one choice"))
    if len(ids) > MAX_CHOICES:
        faults.append(Fault("/choices", f"are more than {MAX_CHOICES}; a Slack select holds no more"))
    faults += [
        Fault(f"/choices/{i}/id", "is used twice or is a built-in decision; ids must differ")
        for i, choice in enumerate(ids)
        if choice in ids[:i] or choice in {APPROVE, REJECT, SKIP}
    ]
    return faults


MAX_CHOICES = 100


def _level_faults(body: SubmitBody) -> list[Fault]:
    if body.level is Level.VERIFY and not body.verification_phrase:
        return [Fault("/verification_phrase", "level `verify` needs the phrase that people must type")]
    if body.level is not Level.VERIFY and body.verification_phrase:
        return [Fault("/verification_phrase", "is for level `verify`; set it, or leave the phrase out")]
    return []


def _time_faults(body: SubmitBody, now: datetime) -> list[Fault]:
    faults = []
    if body.timeout_seconds is not None and body.timeout_at is not None:
        faults.append(Fault("/timeout_at", "give either timeout_seconds or timeout_at, not both"))
    if body.timeout_at is not None and body.timeout_at <= now:
        faults.append(Fault("/timeout_at", "is in the past; give an instant to come"))
    if body.timeout_at is not None and body.timeout_at > now + timedelta(seconds=MAX_TIMEOUT_SECONDS):
        faults.append(
            Fault("/timeout_at", "is more than ten years away; give an earlier one, or none to wait for ever")
        )
    if body.on_timeout is OnTimeout.ESCALATE and not body.escalation:
        faults.append(Fault("/on_timeout", "`escalate` needs an `escalation` that says to whom"))
    return faults
