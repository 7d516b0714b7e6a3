"""What a person sent with the form of a link page, as typed, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from bot.domain.errors import Fault, Invalid
from bot.domain.lifecycle.response_rules import MAX_REASON, ResponseInput, check
from bot.domain.model.digest import escape_pointer
from bot.domain.model.request import REJECT, SKIP
from bot.web.pages.fields import controls, read_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bot.domain.model.request import Json, Request, Response
    from bot.web.pages.fields import Typed

MAX_VALUE = 36 * 1024
"""Bytes of the longest text, percent-encoded."""
MAX_BODY = 256 * 1024
"""Bytes of a posted form, beside the request's own fields."""
MAX_FIELDS = 1000
FIELDS = ("decision", "reason", "phrase", "text", "to", "action", "revision", "level", "seen")
_UNSAID = "did not say which version of the request was answered; look at it as it is now, then submit again"
_UNREADABLE = "has a character that cannot be read or stored; remove it, or type the text again"


class UnreadableForm(Exception):
    """The body is no form at all. `status` is the HTTP status; the text tells the person what to do."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields as typed, with faults of their bytes.

    Without an `action` it is an answer. `revision`, `level` and `seen`: what the page had shown.
    """

    action: str = ""
    decision: str = ""
    reason: str = ""
    phrase: str = ""
    text: str = ""
    to: str = ""
    revision: str = ""
    level: str = ""
    seen: str = ""
    values: Mapping[str, Typed] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def answer(self, request: Request) -> ResponseInput:
        """The answer that the fields make; values go with a yes only."""
        values, _ = self._values(request)
        return ResponseInput(
            decision=self.decision,
            reason=self.reason.strip() or None,
            phrase=self.phrase or None,
            values=values or None,
        )

    def _values(self, request: Request) -> tuple[dict[str, Json], list[Fault]]:
        return ({}, []) if self.decision in {REJECT, SKIP} else read_values(request, self.values)

    def repeats(self, request: Request, response: Response) -> bool:
        """Whether this was recorded as `response` already: what it changed stands in the fields now."""
        answer = self.answer(request)
        values = {**(response.values or {}), **(answer.values or {})} or None
        return replace(answer, values=values).repeats(response)

    @property
    def opened_revision(self) -> int | None:
        """The revision that the page had shown; None where the form did not say."""
        return int(self.revision) if self.revision else None

    def check(self, request: Request) -> None:
        """Raise `Invalid` with every fault of an answer, one a field."""
        _, unreadable = self._values(request)
        faults = {_place(f): f for f in unreadable} | {_place(f): f for f in self.faults}
        if self.opened_revision is None:
            faults.setdefault("/revision", Fault("/revision", _UNSAID))
        if not self.decision:
            faults.setdefault("/decision", Fault("/decision", "choose one"))
        try:
            check(request, self.answer(request))
        except Invalid as invalid:
            # Whether the phrase is wanted depends on the decision.
            found = {_place(f): f for f in invalid.faults if self.decision or f.pointer != "/phrase"}
            faults = found | faults
        _raise(faults, [f.pointer for f in controls(request, {})])

    def check_action(self) -> None:
        """Raise `Invalid` where the fields of an action cannot be used; the domain knows the rest."""
        faults = {f.pointer: f for f in self.faults}
        if len(self.reason) > MAX_REASON:
            faults["/reason"] = Fault("/reason", f"is longer than {MAX_REASON} characters; shorten it")
        if self.action == "delegate" and not self.to.strip():
            faults["/to"] = Fault("/to", "say who takes over")
        if self.action == "ask" and not self.text.strip():
            faults["/text"] = Fault("/text", "type your question")
        _raise(faults, [])


def _place(fault: Fault) -> str:
    """The field that a fault belongs to, as faults may point into its value."""
    return "/".join(fault.pointer.split("/")[: 3 if fault.pointer.startswith("/values/") else 2])


def _raise(faults: Mapping[str, Fault], fields: Sequence[str]) -> None:
    """Raise what is wrong, in the order of the page."""
    order = [*fields, *(f"/{name}" for name in FIELDS)]
    if faults:
        places = sorted(faults, key=lambda place: order.index(place) if place in order else len(order))
        raise Invalid(Fault(place, faults[place].detail) for place in places)


async def read_form(http: web.Request, fields: Iterable[str]) -> Form:
    """Read a posted form with the request's own `fields`; raises `UnreadableForm` where there is none."""
    own = tuple(fields)
    pairs = await _pairs(http, MAX_BODY + len(own) * MAX_VALUE)
    typed: dict[str, str] = {}
    faults: list[Fault] = []
    for name in FIELDS:
        sent = {value for key, value in pairs if key == name}
        text = sent.pop() if len(sent) == 1 else b""
        if sent:
            faults.append(Fault(f"/{name}", "was sent more than once, with different values; choose one"))
        typed[name], readable = _text(text)
        if not readable:
            faults.append(Fault(f"/{name}", _UNREADABLE))
    if not re.fullmatch(r"\d{0,9}", typed["revision"], re.ASCII):
        typed["revision"] = ""
        faults.append(Fault("/revision", "was damaged on its way; look at the request again, then submit"))
    values: dict[str, Typed] = {}
    for name in own:
        texts = [_text(value) for key, value in pairs if key == f"values.{name}"]
        if texts:
            values[name] = tuple(text for text, _ in texts)
        if not all(readable for _, readable in texts):
            faults.append(Fault(f"/values/{escape_pointer(name)}", _UNREADABLE))
    return Form(**typed, values=values, faults=tuple(faults))


def _text(value: bytes) -> tuple[str, bool]:
    """The text of a field, without what cannot be stored, and whether that was all of it."""
    text = value.decode(errors="ignore")
    kept = text.replace("\0", "").replace("\r\n", "\n")
    return kept, "\0" not in text and text.encode() == value


async def _pairs(http: web.Request, limit: int) -> list[tuple[str, bytes]]:
    limited = http.clone(client_max_size=limit, client_max_fields=MAX_FIELDS)
    try:
        if http.content_type == "multipart/form-data":
            return await _multipart(limited, limit)
        return await _urlencoded(limited)
    except web.HTTPRequestEntityTooLarge:
        raise UnreadableForm(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "What you sent is too long. Go back, shorten the text, then submit again.",
        ) from None


async def _urlencoded(http: web.Request) -> list[tuple[str, bytes]]:
    body = await http.read()
    if body and http.content_type != "application/x-www-form-urlencoded":
        raise UnreadableForm(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "What was sent is not a form. Open the link again and answer there.",
        )
    try:
        pairs = parse_qsl(
            body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise _malformed() from None
    return [(n.encode("latin-1").decode(errors="replace"), v.encode("latin-1")) for n, v in pairs]


async def _multipart(http: web.Request, limit: int) -> list[tuple[str, bytes]]:
    pairs: list[tuple[str, bytes]] = []
    size = 0
    try:
        async for part in await http.multipart():
            if not isinstance(part, BodyPartReader) or len(pairs) == MAX_FIELDS:
                raise _malformed()
            value = bytes(await part.read())
            size += len(value)
            if size > limit:
                raise web.HTTPRequestEntityTooLarge(limit)
            pairs.append((part.name or "", value))
    except (ValueError, RuntimeError, BadHttpMessage):
        raise _malformed() from None
    return pairs


def _malformed() -> UnreadableForm:
    return UnreadableForm(
        HTTPStatus.BAD_REQUEST, "The form arrived damaged. Open the link again and answer there."
    )
