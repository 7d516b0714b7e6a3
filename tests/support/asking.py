"""Requests and people for tests of the domain, the store and the deliveries, without anybody having to submit them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.domain.lifecycle import lifecycle
from bot.domain.lifecycle.response_rules import ResponseInput
from bot.domain.model.digest import payload_digest
from bot.domain.model.events import Respond, SeenVersion
from bot.domain.model.request import Address, OpenSelector, Request, Respondent, Surface
from bot.domain.model.spec import Spec, Step
from bot.domain.people.audience import Actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.model.spec import QuorumRule

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PAYLOAD = {"tool": "refund", "amount": 1250}


def somebody(name: str, /, *, email: bool = True, slack: str | None = None, **fields: Any) -> Respondent:
    """A respondent `rsp_NAME`, reached at NAME@example.com, as a Slack user, or both."""
    mail = f"{name}@example.com" if email else None
    addresses = [Address(surface=Surface.SLACK, value=slack)] if slack else []
    if mail:
        addresses.append(Address(surface=Surface.EMAIL, value=mail))
    via = (f"email:{mail}" if mail else f"slack:{slack}",)
    known = {"name": name.title(), "email": mail, "slack_user_id": slack, "addresses": tuple(addresses)}
    return Respondent(**{"id": f"rsp_{name}", "via": via} | known | fields)


def asked(
    *respondents: Respondent,
    quorum: QuorumRule = 1,
    reject_quorum: int = 1,
    request_id: str = "req_1",
    timeout_at: datetime | None = None,
    channels: Sequence[str] = (),
    lookups: Sequence[str] = (),
    steps: Sequence[Step] = (),
    requester_keys: frozenset[str] = frozenset(),
    requester_known: bool = True,
    at: datetime = NOW,
    **spec: Any,
) -> Request:
    """A pending request put to `respondents`; `spec` are fields of `Spec`."""
    selectors = (*(v for r in respondents for v in r.via), *channels, *lookups)
    asks = {"title": "Refund €1,250", "payload": PAYLOAD, "payload_digest": payload_digest(PAYLOAD)}
    step = Step(audience=selectors, quorum=quorum, reject_quorum=reject_quorum)
    return Request(
        id=request_id,
        spec=Spec(**asks | {"steps": tuple(steps) or (step,)} | spec),
        respondents=respondents,
        places=places(*channels),
        lookups=places(*lookups),
        requester_keys=requester_keys,
        requester_known=requester_known,
        created_at=at,
        opened_at=at,
        timeout_at=timeout_at,
    )


def places(*selectors: str) -> tuple[OpenSelector, ...]:
    """Channels, or people to be looked up, of a request's first step."""
    return tuple(OpenSelector(selector=selector) for selector in selectors)


def by_mail(name: str) -> Actor:
    """Somebody who follows the personal link of `rsp_NAME`."""
    return Actor(keys=frozenset({f"rsp_{name}"}), surface=Surface.EMAIL)


def by_slack(user_id: str, *memberships: str, **fields: Any) -> Actor:
    """A Slack user who clicks; `memberships` as Slack confirmed them just now."""
    keys = frozenset({f"slack:{user_id}"})
    return Actor(keys=keys, surface=Surface.SLACK, memberships=frozenset(memberships), **fields)


def response(actor: Actor | str, decision: str = "approve", **fields: Any) -> Respond:
    """The event of one answer; a name answers by their personal link."""
    who = by_mail(actor) if isinstance(actor, str) else actor
    seen = SeenVersion(fields.pop("revision", None), fields.pop("step", None))
    return Respond(actor=who, answer=ResponseInput(decision=decision, **fields), new_id="rsp_new", seen=seen)


def after(request: Request, *answers: tuple[str, str]) -> Request:
    """`request` after these people gave these answers, in order."""
    for name, decision in answers:
        request = lifecycle.apply(request, response(name, decision), NOW).request
    return request
