"""What a person at a terminal is asked for: the fields of a form, and the phrase to type."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from bot.cli import display
from bot.cli.common import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.client import Request
    from bot.domain.forms.forms import Field


def possible(*, as_json: bool) -> bool:
    """Whether somebody is there to be asked."""
    return not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def phrase(request: Request, *, as_json: bool) -> str | None:
    """The phrase that is typed at level `verify`: as people read it on the card, the mail or the page, not here."""
    if request.get("level") != "verify" or not possible(as_json=as_json):
        return None
    return _ask("Type the phrase that the request shows to people", "")


def wanted(request: Request) -> bool:
    """Whether an approval of the request asks for more than a yes."""
    return bool(request.get("level") == "verify" or request["form"] or request["kind"] == "feedback")


def confirm() -> None:
    """Ask whether the answer stands, now that its request is shown; raises Failure unless it does."""
    if _ask("Answer this? (yes or no)", "no").strip().lower() not in {"y", "yes"}:
        raise Failure("nothing was sent")


def values(request: Request, typed: Mapping[str, str] | None, *, as_json: bool) -> dict[str, Any] | None:
    """Values for the request's form: those `typed` as options, or else what is answered field by field."""
    from bot.domain.forms.forms import FEEDBACK, fields_of, merged, read_fields

    feedback = request["kind"] == "feedback"
    form = FEEDBACK if feedback else request["form"]
    if form is None:
        if typed:
            raise Failure(f"{request.id} has no form, so there is nothing to fill in", status=2)
        return None
    current = {} if feedback else merged(request["payload"], request["values"])
    known = fields_of(form, current)
    if unknown := sorted((typed or {}).keys() - {field.name for field in known}):
        names = ", ".join(field.name for field in known)
        raise Failure(f"{', '.join(unknown)}: no such field; the fields are {names}", status=2)
    if not typed and possible(as_json=as_json):
        typed = _filled_in(known)
    if not typed:
        return None
    found, faults = read_fields(known, {name: _picked(known, name, text) for name, text in typed.items()})
    if faults:
        raise Failure(
            "\n".join(f"{f.pointer.removeprefix('/values/')}: {f.detail}" for f in faults), status=2
        )
    return found


def _filled_in(known: Sequence[Field]) -> dict[str, str]:
    """Ask for every field that may be changed; an empty answer keeps the value."""
    answers = {}
    for field in known:
        if field.read_only:
            display.print_error(f"{display.line(field.title)}: {display.line(_shown(field.value))}")
            continue
        options = (
            f" ({', '.join(display.line(label) for _, label in field.options)})" if field.options else ""
        )
        hint = f" - {display.line(field.description)}" if field.description else ""
        answer = _ask(f"{display.line(field.title)}{options}{hint}", _shown(field.value))
        if answer:
            answers[field.name] = answer
    return answers


def _picked(known: Sequence[Field], name: str, text: str) -> str | list[str]:
    """Several options are written with commas between them."""
    several = any(field.name == name and field.kind == "options" for field in known)
    return [part.strip() for part in text.split(",")] if several else text


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _ask(question: str, default: str) -> str:
    kept = f" [{display.line(default)}]" if default else ""
    sys.stderr.write(f"{question}{kept}: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise Failure("nothing was answered, so nothing was sent")
    return answer.rstrip("\n") or default
