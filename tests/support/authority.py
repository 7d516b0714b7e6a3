"""Who may do what, as a table: every route, by what kind of key, for whose request. The documentation shows the same.

The scopes are those that the operations name.

A cell is what the call comes to:

- `all`: the whole request (or what belongs to it);
- `brief`: `id`, `status` and `version`, and no more;
- `own` or `every`: a list, of what the key itself submitted or of everything;
- `done`: it is done, and there is no request to show;
- else the code of the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.web.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

OWN, OTHER, UNKNOWN = "own", "another's", "unknown"


class Column(NamedTuple):
    """A kind of key, and whose request it is that the call is about. No scopes: the key of the settings."""

    scopes: tuple[str, ...]
    whose: str

    @property
    def title(self) -> str:
        """As the documentation heads it."""
        return f"{' + '.join(f'`{s}`' for s in self.scopes) or 'bootstrap'}, {self.whose}"


COLUMNS = (
    Column(("submit",), OWN),
    Column(("submit",), OTHER),
    Column(("submit",), UNKNOWN),
    Column(("read",), OTHER),
    Column(("read",), UNKNOWN),
    Column(("respond",), OTHER),
    Column(("respond",), UNKNOWN),
    Column(("operate",), OTHER),
    Column(("operate",), UNKNOWN),
    Column(("links",), OTHER),
    Column(("admin",), OTHER),
    Column(("submit", "respond"), OWN),
    Column(("submit", "read", "operate"), OWN),
    Column(("submit", "read", "operate"), OTHER),
    Column((), OWN),
)

NO_SCOPE, NOT_THERE, NOT_YOURS, SELF = "forbidden_scope", "not_found", "not_yours", "self_approval"


SCOPES = {(described.method, described.path): tuple(map(str, described.scopes)) for described in OPERATIONS}
"""What each operation says that it needs; none where it needs no key."""


def _may_read(column: Column) -> bool:
    """Whether the key may read the request."""
    own = column.whose == OWN and "submit" in column.scopes
    return not column.scopes or "read" in column.scopes or own


def _shown(column: Column) -> str:
    return "all" if _may_read(column) else "brief"


def read(column: Column) -> str:
    """What a key that may not read a request is told is what it is told of one that is not there."""
    return "all" if column.whose != UNKNOWN and _may_read(column) else NOT_THERE


def listed(column: Column) -> str:
    """Everything for who reads, else the key's own."""
    return "every" if not column.scopes or "read" in column.scopes else "own"


def manage(column: Column) -> str:
    """The key's own, or with `operate` every request."""
    if column.whose == UNKNOWN:
        return NOT_THERE
    mine = column.whose == OWN or "operate" in column.scopes
    return _shown(column) if mine else NOT_YOURS


def answer(column: Column) -> str:
    """Every request, but with `operate` none of the key's own."""
    if column.whose == UNKNOWN:
        return NOT_THERE
    return SELF if column.whose == OWN and "operate" in column.scopes else _shown(column)


def answer_unseen(column: Column) -> str:
    """Likewise, answered without the request."""
    return {"all": "done", "brief": "done"}.get(answer(column), answer(column))


def done(_: Column) -> str:
    """What is nobody's is done."""
    return "done"


def no_key(_: Column) -> str:
    """No key is asked for."""
    return "open"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One route, with the body of a call; `{id}` there and in the path is the request's, or the call's."""

    method: str
    path: str
    comes_to: Callable[[Column], str]
    """What it comes to for a key that has one of the scopes."""
    wants: tuple[str, ...] = ()
    """Which of the operation's scopes the body asks for, where it does not ask for any of them."""
    what: str = ""
    body: Any = None
    before: str = "pending"
    """What the request is: `pending`, `final`, or a `function` or a `contact` of HumanLayer's client."""
    names: dict[str, str] = field(default_factory=dict)
    """What stands for other parts of the path."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """One of them is needed, if there are any."""
        needed = SCOPES.get((self.method, self.path), ())
        assert set(self.wants) <= set(needed)
        return self.wants or needed

    @property
    def cells(self) -> dict[Column, str]:
        """What it comes to for each kind of key."""
        assert (self.comes_to is no_key) == (not self.scopes)
        return {c: self.comes_to(c) if self._admits(c) else NO_SCOPE for c in COLUMNS}

    def _admits(self, column: Column) -> bool:
        return not self.scopes or not column.scopes or bool({*self.scopes} & {*column.scopes})


MANAGING, ANSWERING = ("submit", "operate"), ("respond", "operate")
ANA = {"respondent": "email:ana@example.com"}
ONE = "/v1/requests/{id}"
LAYER = "/humanlayer/v1"
SPEC = {"fn": "refund", "kwargs": {}, "channel": {"email": {"address": "ana@example.com"}}}
QUESTION = {"msg": "Which?", "channel": {"email": {"address": "ana@example.com"}}}

ROWS = (
    Row(
        method="POST",
        path="/v1/requests",
        comes_to=done,
        body={"title": "T", "audience": ["email:ana@example.com"]},
    ),
    Row(method="GET", path="/v1/requests", comes_to=listed),
    Row(method="GET", path="/v1/pending", comes_to=listed),
    Row(method="GET", path="/v1/events", comes_to=listed),
    Row(method="GET", path=ONE, comes_to=read),
    Row(method="GET", path=f"{ONE}/audit", comes_to=read),
    Row(method="GET", path=f"{ONE}/deliveries", comes_to=read),
    Row(method="GET", path=f"{ONE}/events", comes_to=read, before="final"),
    Row(method="GET", path=f"{ONE}/receipt", comes_to=read, before="final"),
    Row(method="POST", path=f"{ONE}/cancel", comes_to=manage, body={}),
    Row(method="POST", path=f"{ONE}/remind", comes_to=manage, body={}),
    Row(method="POST", path=f"{ONE}/revise", comes_to=manage, body={"title": "Other"}),
    Row(method="POST", path=f"{ONE}/escalate", what="as who asked", wants=MANAGING, comes_to=manage, body={}),
    Row(
        method="POST",
        path=f"{ONE}/escalate",
        what="for a respondent",
        wants=ANSWERING,
        comes_to=answer,
        body=ANA,
    ),
    Row(
        method="POST",
        path=f"{ONE}/comments",
        what="a reply",
        wants=MANAGING,
        comes_to=manage,
        body={"text": "Yes"},
    ),
    Row(
        method="POST",
        path=f"{ONE}/comments",
        what="a question",
        wants=ANSWERING,
        comes_to=answer,
        body=ANA | {"text": "Why?"},
    ),
    Row(
        method="POST",
        path=f"{ONE}/responses",
        what="for a respondent",
        comes_to=answer,
        body=ANA | {"decision": "approve"},
    ),
    Row(
        method="POST",
        path=f"{ONE}/responses",
        what="as operator",
        wants=("operate",),
        comes_to=answer,
        body={"decision": "approve"},
    ),
    Row(
        method="POST",
        path="/v1/responses",
        what="for a respondent",
        comes_to=answer,
        body=ANA | {"requests": ["{id}"], "decision": "approve"},
    ),
    Row(
        method="POST",
        path="/v1/responses",
        what="as operator",
        wants=("operate",),
        comes_to=answer,
        body={"requests": ["{id}"], "decision": "approve"},
    ),
    Row(method="POST", path=f"{ONE}/withdraw", comes_to=answer, body=ANA, before="answered"),
    Row(
        method="POST",
        path=f"{ONE}/delegate",
        comes_to=answer,
        body={"from": "email:ana@example.com", "to": "email:ben@example.com"},
    ),
    Row(
        method="POST",
        path="/v1/notifications",
        comes_to=done,
        body={"message": "M", "audience": ["slack:{someone}"]},
    ),
    Row(method="GET", path="/v1/groups", comes_to=done),
    Row(
        method="PUT",
        path="/v1/groups/{name}",
        comes_to=done,
        body={"members": ["ana@example.com"]},
        names={"name": "team"},
    ),
    Row(method="DELETE", path="/v1/groups/{name}", comes_to=done, names={"name": "team"}),
    Row(method="GET", path="/v1/keys", comes_to=done),
    Row(
        method="POST",
        path="/v1/keys",
        comes_to=done,
        body={"name": "new", "scopes": ["submit"]},
    ),
    Row(
        method="DELETE",
        path="/v1/keys/{id}",
        what="`id` is a key's",
        comes_to=done,
        before="a key",
    ),
    Row(method="GET", path="/agents/hitl/pending", comes_to=listed),
    Row(
        method="POST",
        path="/agents/hitl/decision",
        comes_to=answer_unseen,
        body={"request_id": "{id}", "decision": "approved"},
    ),
    Row(
        method="POST",
        path=f"{LAYER}/function_calls",
        comes_to=done,
        body={"run_id": "r", "call_id": "{new}", "spec": SPEC},
    ),
    Row(method="GET", path=f"{LAYER}/function_calls/{{call_id}}", comes_to=read, before="function"),
    Row(
        method="POST",
        path=f"{LAYER}/agent/function_calls/{{call_id}}/respond",
        comes_to=answer,
        body={"approved": True},
        before="function",
    ),
    Row(
        method="POST",
        path=f"{LAYER}/contact_requests",
        comes_to=done,
        body={"run_id": "r", "call_id": "{new}", "spec": QUESTION},
    ),
    Row(method="GET", path=f"{LAYER}/contact_requests/{{call_id}}", comes_to=read, before="contact"),
    *(
        Row(
            method="POST",
            path=f"{LAYER}/agent/{name}/{{call_id}}/respond",
            comes_to=answer,
            body={"response": "Blue"},
            before="contact",
        )
        for name in ("human_contacts", "contact_requests")
    ),
    *(
        Row(method="GET", path=path, comes_to=no_key)
        for path in (
            "/.well-known/jwks.json",
            "/openapi.json",
            "/docs",
            "/healthz",
            "/readyz",
            "/metrics",
        )
    ),
    Row(
        method="GET", path="/static/{name}", comes_to=no_key, what="style sheets", names={"name": "page.css"}
    ),
    Row(method="*", path="/r/{token}", comes_to=no_key, what="personal links", names={"token": "nobody"}),
    Row(method="*", path="/R/{token}", comes_to=no_key, what="personal links", names={"token": "nobody"}),
    Row(method="POST", path="/slack/events", comes_to=no_key, what="Slack's own signature"),
)


def table() -> str:
    """All of it in Markdown, the rows with the same cells together."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in ROWS:
        groups.setdefault(tuple(row.cells[c] for c in COLUMNS), []).append(row)
    lines = []
    for cells, rows in groups.items():
        lines += [f"- `{r.method} {r.path}`{f' ({r.what})' if r.what else ''}" for r in rows]
        if set(cells) == {"open"}:
            lines += ["", "No key is asked for.", ""]
            continue
        lines += ["", "| key, request | what comes of it |", "|---|---|"]
        told = [(column.title, cell) for column, cell in zip(COLUMNS, cells, strict=True) if cell != NO_SCOPE]
        lines += [f"| {title} | {_in_words(cell)} |" for title, cell in told]
        lines += [f"| every other | {_in_words(NO_SCOPE)} |", ""]
    return "\n".join(lines)


def _in_words(cell: str) -> str:
    status = {NO_SCOPE: 403, NOT_THERE: 404, NOT_YOURS: 403, SELF: 403}.get(cell)
    return f"{status} `{cell}`" if status else cell


DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "authority.md"


def documented() -> str:
    """The documentation with the table as it is."""
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition("<!-- table -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    assert begin
    assert end
    return f"{before}{begin}{table()}{end}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(documented(), encoding="utf-8")
