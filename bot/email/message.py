"""Compose a mail out of a request's state: bytes, ready for the relay. No I/O but templates, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal

from css_inline import CSSInliner

from bot.domain.model.spec import Level
from bot.domain.policies.payload_views import NO_VIEWS, Views
from bot.email.addresses import parse_address
from bot.email.context import notification_context, request_context
from bot.email.mime import assemble, from_header

if TYPE_CHECKING:
    from datetime import datetime

    from jinja2 import Environment

    from bot.domain.model.request import Request, Respondent
    from bot.email.addresses import Address, Sender

Notice = Literal["ask", "reminder", "news", "receipt", "outcome"]

_ID_DOMAIN = 36
"""Characters of the domain in a Message-ID. Ids stay below 70 so: longer ones get mangled in References."""

_INLINER = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished mail for one recipient. Send `raw` as it is, and again as it is."""

    raw: bytes = field(repr=False)
    message_id: str
    sender: Address
    recipient: Address


class Composer:
    """Makes mails from `templates/email/`, all from one sender."""

    def __init__(self, templates: Environment, sender: Sender, views: Views = NO_VIEWS) -> None:
        self._templates = templates
        self._sender = sender
        self._views = views
        self._id_domain = _short_domain(sender.address.domain)

    def about(
        self,
        notice: Notice,
        request: Request,
        respondent: Respondent | None,
        *,
        to: str,
        link: str | None,
        delivery_id: str,
        at: datetime,
        news: str = "",
    ) -> Composed:
        """A mail to one respondent about a request, as it is now.

        `ask` the question (or, at level `info`, the information), `reminder` the same again, `news` what happened
        (in a sentence) and the question as it stands, `receipt` that their answer was recorded, `outcome` that none
        is needed any more. `link` is their personal link; the requester, who may get news, is no respondent and has
        none. `delivery_id` makes the Message-ID, `at` the Date. Raises AddressError where `to` is no address.
        """
        name = "info" if notice == "ask" and request.spec.level is Level.INFO else notice
        root = f"<{request.id}@{self._id_domain}>"
        thread = {"In-Reply-To": root, "References": root}
        context = request_context(request, respondent, link, news, self._views)
        return self._compose(name, context, thread, to=to, delivery_id=delivery_id, at=at)

    def notification(self, message: str, *, to: str, delivery_id: str, at: datetime) -> Composed:
        """A mail that asks nothing; `message` is Markdown. Raises AddressError."""
        context = notification_context(message)
        return self._compose("notification", context, {}, to=to, delivery_id=delivery_id, at=at)

    def _compose(
        self,
        name: str,
        context: dict[str, Any],
        thread: dict[str, str],
        *,
        to: str,
        delivery_id: str,
        at: datetime,
    ) -> Composed:
        recipient = parse_address(to)
        message_id = f"<{delivery_id}@{self._id_domain}>"
        headers = {
            "Date": format_datetime(at),
            "From": from_header(self._sender),
            "To": str(recipient),
            "Message-ID": message_id,
            **thread,
            "Auto-Submitted": "auto-generated",
            # Not `All`: that would suppress bounces too.
            "X-Auto-Response-Suppress": "OOF, AutoReply",
        }
        raw = assemble(
            headers,
            subject=self._render(name, "subject.txt", context),
            text=_BLANK_LINES.sub("\n\n", self._render(name, "body.txt", context)).strip() + "\n",
            html=_INLINER.inline(self._render(name, "body.html", context)),
        )
        return Composed(raw, message_id, self._sender.address, recipient)

    def _render(self, name: str, part: str, context: dict[str, Any]) -> str:
        return self._templates.get_template(f"email/{name}/{part}").render(context)


def _short_domain(domain: str) -> str:
    while len(domain) > _ID_DOMAIN and "." in domain:
        domain = domain.partition(".")[2]
    return domain
