"""Who may do what, as a table: every route, by what kind of key, for whose request. The documentation shows the same.

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
from typing import Any, NamedTuple

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


def _cells(*cells: str) -> dict[Column, str]:
    return dict(zip(COLUMNS, cells, strict=True))


#                submit                        read              respond           operate           links
#                own    other      unknown     other  unknown    other  unknown    other  unknown    other, admin
READ = _cells(*("all", NOT_THERE, NOT_THERE, "all", NOT_THERE, *[NO_SCOPE] * 6, "all", "all", "all", "all"))
LIST = _cells(*["own"] * 3, *["every"] * 2, *[NO_SCOPE] * 6, "own", *["every"] * 3)
MANAGE = _cells(
    *("all", NOT_YOURS, NOT_THERE, NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, "brief", NOT_THERE),
    *(NO_SCOPE, NO_SCOPE, "all", "all", "all", "all"),
)
ANSWER = _cells(
    *(NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, "brief", NOT_THERE, "brief", NOT_THERE),
    *(NO_SCOPE, NO_SCOPE, "all", SELF, "all", "all"),
)
DECIDE = _cells(
    *(NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, NO_SCOPE, "brief", NOT_THERE),
    *(NO_SCOPE, NO_SCOPE, NO_SCOPE, SELF, "all", "all"),
)
DECIDE_UNSEEN = {column: "done" if cell in {"all", "brief"} else cell for column, cell in DECIDE.items()}


def with_scope(*scopes: str) -> dict[Column, str]:
    """What is nobody's: any key with one of these scopes does it."""
    return {c: "done" if not c.scopes or {*scopes} & {*c.scopes} else NO_SCOPE for c in COLUMNS}


OPEN = dict.fromkeys(COLUMNS, "open")
"""No key is asked for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One route, with the body of a call; `{id}` there and in the path is the request's, or the call's."""

    method: str
    path: str
    cells: dict[Column, str]
    what: str = ""
    body: Any = None
    before: str = "pending"
    """What the request is: `pending`, `final`, or a `function` or a `contact` of HumanLayer's client."""
    names: dict[str, str] = field(default_factory=dict)
    """What stands for other parts of the path."""


ANA = {"respondent": "email:ana@example.com"}
ONE = "/v1/requests/{id}"
LAYER = "/humanlayer/v1"
SPEC = {"fn": "refund", "kwargs": {}, "channel": {"email": {"address": "ana@example.com"}}}
QUESTION = {"msg": "Which?", "channel": {"email": {"address": "ana@example.com"}}}

ROWS = (
    Row(
        method="POST",
        path="/v1/requests",
        cells=with_scope("submit"),
        body={"title": "T", "audience": ["email:ana@example.com"]},
    ),
    Row(method="GET", path="/v1/requests", cells=LIST),
    Row(method="GET", path="/v1/pending", cells=LIST),
    Row(method="GET", path="/v1/events", cells=LIST),
    Row(method="GET", path=ONE, cells=READ),
    Row(method="GET", path=f"{ONE}/audit", cells=READ),
    Row(method="GET", path=f"{ONE}/deliveries", cells=READ),
    Row(method="GET", path=f"{ONE}/events", cells=READ, before="final"),
    Row(method="GET", path=f"{ONE}/receipt", cells=READ, before="final"),
    Row(method="POST", path=f"{ONE}/cancel", cells=MANAGE, body={}),
    Row(method="POST", path=f"{ONE}/remind", cells=MANAGE, body={}),
    Row(method="POST", path=f"{ONE}/revise", cells=MANAGE, body={"title": "Other"}),
    Row(method="POST", path=f"{ONE}/escalate", what="as who asked", cells=MANAGE, body={}),
    Row(method="POST", path=f"{ONE}/escalate", what="for a respondent", cells=ANSWER, body=ANA),
    Row(method="POST", path=f"{ONE}/comments", what="a reply", cells=MANAGE, body={"text": "Yes"}),
    Row(method="POST", path=f"{ONE}/comments", what="a question", cells=ANSWER, body=ANA | {"text": "Why?"}),
    Row(
        method="POST",
        path=f"{ONE}/responses",
        what="for a respondent",
        cells=ANSWER,
        body=ANA | {"decision": "approve"},
    ),
    Row(
        method="POST", path=f"{ONE}/responses", what="as operator", cells=DECIDE, body={"decision": "approve"}
    ),
    Row(
        method="POST",
        path="/v1/responses",
        what="for a respondent",
        cells=ANSWER,
        body=ANA | {"requests": ["{id}"], "decision": "approve"},
    ),
    Row(
        method="POST",
        path="/v1/responses",
        what="as operator",
        cells=DECIDE,
        body={"requests": ["{id}"], "decision": "approve"},
    ),
    Row(method="POST", path=f"{ONE}/withdraw", cells=ANSWER, body=ANA, before="answered"),
    Row(
        method="POST",
        path=f"{ONE}/delegate",
        cells=ANSWER,
        body={"from": "email:ana@example.com", "to": "email:ben@example.com"},
    ),
    Row(
        method="POST",
        path="/v1/notifications",
        cells=with_scope("submit"),
        body={"message": "M", "audience": ["slack:{someone}"]},
    ),
    Row(method="GET", path="/v1/groups", cells=with_scope("read")),
    Row(
        method="PUT",
        path="/v1/groups/{name}",
        cells=with_scope("admin"),
        body={"members": ["ana@example.com"]},
        names={"name": "team"},
    ),
    Row(method="DELETE", path="/v1/groups/{name}", cells=with_scope("admin"), names={"name": "team"}),
    Row(method="GET", path="/v1/keys", cells=with_scope("admin")),
    Row(
        method="POST",
        path="/v1/keys",
        cells=with_scope("admin"),
        body={"name": "new", "scopes": ["submit"]},
    ),
    Row(
        method="DELETE",
        path="/v1/keys/{id}",
        what="`id` is a key's",
        cells=with_scope("admin"),
        before="a key",
    ),
    Row(method="GET", path="/agents/hitl/pending", cells=LIST),
    Row(
        method="POST",
        path="/agents/hitl/decision",
        cells=DECIDE_UNSEEN,
        body={"request_id": "{id}", "decision": "approved"},
    ),
    Row(
        method="POST",
        path=f"{LAYER}/function_calls",
        cells=with_scope("submit"),
        body={"run_id": "r", "call_id": "{new}", "spec": SPEC},
    ),
    Row(method="GET", path=f"{LAYER}/function_calls/{{call_id}}", cells=READ, before="function"),
    Row(
        method="POST",
        path=f"{LAYER}/agent/function_calls/{{call_id}}/respond",
        cells=DECIDE,
        body={"approved": True},
        before="function",
    ),
    Row(
        method="POST",
        path=f"{LAYER}/contact_requests",
        cells=with_scope("submit"),
        body={"run_id": "r", "call_id": "{new}", "spec": QUESTION},
    ),
    Row(method="GET", path=f"{LAYER}/contact_requests/{{call_id}}", cells=READ, before="contact"),
    *(
        Row(
            method="POST",
            path=f"{LAYER}/agent/{name}/{{call_id}}/respond",
            cells=DECIDE,
            body={"response": "Blue"},
            before="contact",
        )
        for name in ("human_contacts", "contact_requests")
    ),
    *(
        Row(method="GET", path=path, cells=OPEN)
        for path in (
            "/.well-known/jwks.json",
            "/openapi.json",
            "/docs",
            "/healthz",
            "/readyz",
            "/metrics",
        )
    ),
    Row(method="GET", path="/static/{name}", cells=OPEN, what="style sheets", names={"name": "page.css"}),
    Row(method="*", path="/r/{token}", cells=OPEN, what="personal links", names={"token": "nobody"}),
    Row(method="*", path="/R/{token}", cells=OPEN, what="personal links", names={"token": "nobody"}),
    Row(method="POST", path="/slack/events", cells=OPEN, what="Slack's own signature"),
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
