"""Which view shows a request's payload: the operator's, those for common tools of agents, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.domain.forms import forms
from bot.domain.model.digest import payload_digest
from bot.domain.model.spec import Kind, Level
from bot.domain.payload.views import Format, View, ViewField, payload_view
from bot.domain.policies.policy import holds

if TYPE_CHECKING:
    from bot.domain.model.request import Json, Request
    from bot.domain.model.spec import Spec
    from bot.domain.payload.parts import Section

_NAMES = ("tool", "tool_name", "name", "action", "function", "fn")
"""Members in which agents say the name of a tool."""
_WITHIN = ("", "/arguments", "/args", "/input", "/tool_input", "/params", "/parameters", "/kwargs")
"""Where its arguments stand."""


def _fields(path: str, look: Format | None = None) -> tuple[ViewField, ...]:
    return tuple(ViewField(path=f"{place}/{path}", format=look) for place in _WITHIN)


_TOOLS: tuple[tuple[str, tuple[str, ...], tuple[ViewField, ...]], ...] = (
    (
        "shell command",
        ("bash", "Bash", "shell", "sh", "terminal", "*run_command*", "*execute_command*", "*run_shell*"),
        (*_fields("command", "code"), *_fields("cmd", "code"), *_fields("script", "code"), *_fields("cwd")),
    ),
    (
        "file edit",
        ("Edit", "MultiEdit", "Write", "*edit_file*", "*str_replace*", "*write_file*", "*apply_patch*"),
        (
            *_fields("file_path"),
            *_fields("path"),
            *_fields("diff", "diff"),
            *_fields("patch", "diff"),
            *_fields("content", "code"),
        ),
    ),
    (
        "SQL",
        ("*sql*", "*query_database*", "*run_query*", "*execute_query*"),
        (
            *_fields("database"),
            *_fields("sql", "code"),
            *_fields("query", "code"),
            *_fields("statement", "code"),
        ),
    ),
    (
        "HTTP call",
        ("http", "*http_request*", "fetch", "*http_call*", "*api_request*", "requests.*"),
        (*_fields("method"), *_fields("url"), *_fields("headers"), *_fields("body", "code")),
    ),
    (
        "mail draft",
        ("*send_email*", "*send_mail*", "*sendmail*", "gmail*send*", "*draft_email*", "*email_send*"),
        (
            *_fields("from"),
            *_fields("to"),
            *_fields("cc"),
            *_fields("bcc"),
            *_fields("subject"),
            *_fields("body", "text"),
        ),
    ),
)

BUILT_IN = tuple(
    View(
        name=title,
        when={f"payload.{member}": list(patterns)},
        fields=(ViewField(path=f"/{member}"), *fields),
    )
    for title, patterns, fields in _TOOLS
    for member in _NAMES
)
"""Views for what agents do most often."""


@dataclass(frozen=True, slots=True)
class Views:
    """The operator's views, in the order in which they are looked at; then those that are built in."""

    own: tuple[View, ...] = ()

    def of(self, spec: Spec) -> View | None:
        """The first whose `when` fits."""
        return next((view for view in (*self.own, *BUILT_IN) if holds(view.when, spec)), None)

    def sections(self, request: Request) -> tuple[Section, ...]:
        """What would be done if it were approved now: the payload with every change so far."""
        spec = request.spec
        if spec.payload is None and not request.values:
            return ()
        changed = forms.payload(request)
        digest = payload_digest(changed) if request.values else spec.payload_digest
        return self.sections_of(spec, changed, digest)

    def sections_of(self, spec: Spec, payload: Json, digest: str) -> tuple[Section, ...]:
        """A payload of such a request, which has this digest."""
        view = self.of(spec)
        return _sections(_Shown(digest, tuple(_titles(spec).items()), view.fields if view else (), payload))


NO_VIEWS = Views()
"""None of the operator's."""


def heading(spec: Spec) -> str:
    """What stands over a payload: level `info` asks for nothing to be done."""
    return "Data" if spec.level is Level.INFO else "What will be done"


def _titles(spec: Spec) -> dict[str, str]:
    """The titles that a form gives to members of the payload."""
    if spec.kind is Kind.FEEDBACK or not spec.form:
        return {}
    properties = spec.form["properties"].items()
    return {
        name: schema["title"]
        for name, schema in properties
        if isinstance(schema, dict) and schema.get("title")
    }


@dataclass(frozen=True, slots=True)
class _Shown:
    """What makes two payloads read alike."""

    digest: str
    titles: tuple[tuple[str, str], ...]
    fields: tuple[ViewField, ...]
    payload: Json = field(compare=False)


@lru_cache(maxsize=32)
def _sections(shown: _Shown) -> tuple[Section, ...]:
    """Every copy of a card shows the same, and half a megabyte takes its time."""
    view = View(name="", fields=shown.fields) if shown.fields else None
    return payload_view(shown.payload, titles=dict(shown.titles), view=view)
