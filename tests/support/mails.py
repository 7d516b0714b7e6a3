"""Requests to Ana and Ben, the mails about them, and what those say to a person."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Literal

from bot.domain.model.digest import payload_digest
from bot.domain.model.request import (
    Address,
    Outcome,
    Request,
    ResolvedBy,
    Respondent,
    RespondentState,
    Response,
    Status,
    Surface,
)
from bot.domain.model.spec import Spec, Step
from bot.email.addresses import parse_sender
from bot.email.message import Composed, Composer
from bot.rendering import templates

if TYPE_CHECKING:
    from email.message import EmailMessage

    from bot.email.message import Notice

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
LINK = "https://assent.example.com/r/abcdefghijklmnopqrstuvwxyz234567abcdefg"
COMPOSER = Composer(templates(), parse_sender("Assent <assent@example.com>"))
ANA = Respondent(
    id="rsp_ana",
    name="Ana",
    email="ana@example.com",
    addresses=(Address(surface=Surface.EMAIL, value="ana@example.com"),),
    time_zone="Europe/Madrid",
)
BEN = Respondent(id="rsp_ben", name="Ben", email="ben@example.com")


def ask(**changes: Any) -> Request:
    """A request to Ana and Ben; `changes` are fields of its spec."""
    spec = Spec(
        **{
            "title": "Refund €1,250",
            "message": "Order 5531 arrived *broken*.",
            "details": {"Order": "5531"},
            "payload": {"tool": "refund", "amount": 1250},
            "payload_digest": payload_digest(changes["payload"]) if "payload" in changes else "sha256:feed",
            "requester": "email:bob@example.com",
            "steps": (Step(audience=("ana@example.com", "ben@example.com"), quorum=2),),
            **changes,
        }
    )
    return Request(
        id="req_01",
        spec=spec,
        respondents=(ANA, BEN),
        created_at=NOW,
        opened_at=NOW,
        timeout_at=NOW + timedelta(hours=7),
    )


def compose(request: Request, notice: Notice = "ask", to: str = "ana@example.com") -> Composed:
    ana = next(r for r in request.respondents if r.id == "rsp_ana")
    return COMPOSER.about(notice, request, ana, to=to, link=LINK, delivery_id="dlv_1", at=NOW)


def read(mail: Composed) -> EmailMessage:
    return email.message_from_bytes(mail.raw, policy=email.policy.default)


def body(mail: Composed, kind: Literal["plain", "html"] = "plain") -> str:
    part = read(mail).get_body((kind,))
    assert part
    return str(part.get_content()).replace("\r\n", "\n")


def visible(mail: Composed) -> str:
    """The text that the HTML part shows."""

    class Reader(HTMLParser):
        hidden = 0
        text = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.hidden += tag in {"style", "title"}
            assert tag not in {"script", "img", "iframe", "form", "object", "svg"}
            assert not any(name.startswith("on") for name, _ in attrs)

        def handle_endtag(self, tag: str) -> None:
            self.hidden -= tag in {"style", "title"}

        def handle_data(self, data: str) -> None:
            self.text += "" if self.hidden else f" {data}"

    reader = Reader()
    reader.feed(body(mail, "html"))
    return " ".join(reader.text.split())


def answered() -> Request:
    response = Response(
        respondent="rsp_ana", decision="approve", reason="Fine", surface=Surface.EMAIL, at=NOW
    )
    return replace(
        ask(), respondents=(replace(ANA, state=RespondentState.APPROVED), BEN), responses=(response,)
    )


def decided() -> Request:
    outcome = Outcome(
        decision=Status.REJECTED,
        reason="Too much",
        resolved_by=ResolvedBy.RESPONDENTS,
        surface=Surface.SLACK,
        by="Ben",
    )
    return replace(ask(), status=Status.REJECTED, outcome=outcome, resolved_at=NOW)


def said(mail: Composed) -> tuple[str, str]:
    """Both parts, in one line each."""
    return " ".join(body(mail).split()), re.sub(r" (?=[.:])", "", visible(mail))
