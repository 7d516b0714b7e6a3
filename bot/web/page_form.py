"""What a person sent with the form of a link page, as typed, and what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from bot.domain.answers import Answer, check
from bot.domain.errors import Fault, Invalid

if TYPE_CHECKING:
    from bot.domain.request import Request

MAX_BODY = 256 * 1024
"""Bytes of a posted form. The longest reason, percent-encoded, takes 36 KB."""
MAX_FIELDS = 1000
FIELDS = ("decision", "reason", "phrase", "revision", "seen")
_UNREADABLE = "has a character that cannot be read or stored; remove it, or type the text again"


class UnreadableForm(Exception):
    """The body is no form at all. `status` is the HTTP status; the text tells the person what to do."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The fields as typed, with faults of their bytes. `revision` and `seen`: what the page had shown."""

    decision: str = ""
    reason: str = ""
    phrase: str = ""
    revision: str = ""
    seen: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def answer(self) -> Answer:
        """The answer that the fields make."""
        return Answer(decision=self.decision, reason=self.reason.strip() or None, phrase=self.phrase or None)

    @property
    def opened_revision(self) -> int | None:
        """The revision that the page had shown; None where the form did not say."""
        return int(self.revision) if self.revision else None

    def check(self, request: Request) -> None:
        """Raise `Invalid` with every fault, one a field."""
        faults = {f.pointer: f for f in self.faults}
        if not self.decision:
            faults.setdefault("/decision", Fault("/decision", "choose one"))
        try:
            check(request, self.answer)
        except Invalid as invalid:
            # Whether the phrase is wanted depends on the decision.
            found = {f.pointer: f for f in invalid.faults if self.decision or f.pointer != "/phrase"}
            faults = found | faults
        if faults:
            raise Invalid(faults[p] for p in sorted(faults, key=_position))


def _position(pointer: str) -> int:
    name = pointer.removeprefix("/")
    return FIELDS.index(name) if name in FIELDS else len(FIELDS)


async def read_form(http: web.Request) -> Form:
    """Read a posted form; raises `UnreadableForm` where there is none."""
    try:
        pairs = await _pairs(http.clone(client_max_size=MAX_BODY, client_max_fields=MAX_FIELDS))
    except web.HTTPRequestEntityTooLarge:
        raise UnreadableForm(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "What you sent is too long. Go back, shorten the text, then submit again.",
        ) from None
    typed: dict[str, str] = {}
    faults: list[Fault] = []
    for name in FIELDS:
        values = {value for key, value in pairs if key == name}
        text = values.pop() if len(values) == 1 else b""
        if values:
            faults.append(Fault(f"/{name}", "was sent more than once, with different values; choose one"))
        typed[name], readable = _text(text)
        if not readable:
            faults.append(Fault(f"/{name}", _UNREADABLE))
    if not re.fullmatch(r"\d{0,9}", typed["revision"], re.ASCII):
        typed["revision"] = ""
        faults.append(Fault("/revision", "was damaged on its way; look at the request again, then submit"))
    return Form(**typed, faults=tuple(faults))


def _text(value: bytes) -> tuple[str, bool]:
    """The text of a field, without what cannot be stored, and whether that was all of it."""
    text = value.decode(errors="ignore")
    kept = text.replace("\0", "").replace("\r\n", "\n")
    return kept, "\0" not in text and text.encode() == value


async def _pairs(http: web.Request) -> list[tuple[str, bytes]]:
    if http.content_type == "multipart/form-data":
        return await _multipart(http)
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
    return [(name, value.encode("latin-1")) for name, value in pairs]


async def _multipart(http: web.Request) -> list[tuple[str, bytes]]:
    pairs: list[tuple[str, bytes]] = []
    size = 0
    try:
        async for part in await http.multipart():
            if not isinstance(part, BodyPartReader) or len(pairs) == MAX_FIELDS:
                raise _malformed()
            value = bytes(await part.read())
            size += len(value)
            if size > MAX_BODY:
                raise web.HTTPRequestEntityTooLarge(MAX_BODY)
            pairs.append((part.name or "", value))
    except (ValueError, RuntimeError, BadHttpMessage):
        raise _malformed() from None
    return pairs


def _malformed() -> UnreadableForm:
    return UnreadableForm(
        HTTPStatus.BAD_REQUEST, "The form arrived damaged. Open the link again and answer there."
    )
