"""Commands of those who are asked: pending, list, show, approve, reject, skip, choose."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from bot.cli import display, prompts, shown
from bot.cli.common import SERVER, Failure, Pairs, Server, pairs
from bot.client import ApiError, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.client import Client

Status = Literal["pending", "approved", "rejected", "skipped", "expired", "cancelled"]
Limit = Annotated[int, Parameter(help="How many at most.", validator=Number(gte=1))]
Respondent = Annotated[str | None, Parameter(name="--as", help="Who answers, such as email:ana@example.com.")]
Reason = Annotated[str | None, Parameter(help="Why.", allow_leading_hyphen=True)]
Phrase = Annotated[
    str | None,
    Parameter(help="The verification phrase, where the request wants it.", allow_leading_hyphen=True),
]
Revision = Annotated[
    int | None,
    Parameter(
        help="The revision that you looked at. [default: the one that a command showed you last]",
        validator=Number(gte=1),
    ),
]
Values = Annotated[Pairs, Parameter(help="NAME=VALUE: a field of the form. May be given several times.")]
More = Annotated[str, Parameter(help="More requests, which get the same answer; not those to be verified.")]
Id = Annotated[str, Parameter(help="The request, req_….")]


def pending(*, limit: Limit = 50, links: bool = False, server: Server = SERVER) -> None:
    """List what waits for people, newest first.

    Parameters
    ----------
    links
        Show each respondent's personal link too; whoever has it can answer.
    """
    with server.client() as client:
        found = client.pending(limit + 1)
        shown.remember(client.url, found[:limit])
    _print(found, limit, links=links, json=server.json)


def list_requests(
    *,
    status: Status | None = None,
    respondent: str | None = None,
    requester: str | None = None,
    label: Pairs = None,
    q: str | None = None,
    limit: Limit = 50,
    server: Server = SERVER,
) -> None:
    """List requests, newest first.

    Parameters
    ----------
    status
        Only those in this status.
    respondent
        Only those that ask this person, such as email:ana@example.com.
    requester
        Only those asked by this person or program.
    label
        KEY=VALUE: only those with this label. May be given several times.
    q
        Only those with this text.
    """
    labels = [option.replace("=", ":", 1) for option in label or ()]
    with server.client() as client:
        found = client.list(
            limit + 1, status=status, respondent=respondent, requester=requester, label=labels, q=q
        )
        shown.remember(client.url, found[:limit])
    _print(found, limit, json=server.json)


def show(id: Id, /, *, server: Server = SERVER) -> None:
    """Show everything about one request, and which cards and mails did not arrive."""
    with server.client() as client:
        request = client.get(id)
        deliveries = [] if server.json else client.deliveries(id)
        shown.remember(client.url, [request])
    if server.json:
        display.print_json(request)
    else:
        display.print_request(request, deliveries)


def approve(
    id: Id,
    /,
    *more: More,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    value: Values = None,
    revision: Revision = None,
    server: Server = SERVER,
) -> int:
    """Approve requests: as the operator, which decides them at once, or for a respondent.

    Where a request has a form, --value fills it in; in a terminal, what is not given is asked for.
    """
    given = _Given(reason=reason, respondent=respondent, phrase=phrase, value=value, revision=revision)
    return _answer("approve", [id, *more], server, given)


def reject(
    id: Id,
    /,
    *more: More,
    reason: Reason = None,
    respondent: Respondent = None,
    revision: Revision = None,
    server: Server = SERVER,
) -> int:
    """Reject requests: as the operator, which decides them at once, or for a respondent."""
    given = _Given(reason=reason, respondent=respondent, revision=revision)
    return _answer("reject", [id, *more], server, given)


def skip(
    id: Id,
    /,
    *more: More,
    reason: Reason = None,
    respondent: Respondent = None,
    revision: Revision = None,
    server: Server = SERVER,
) -> int:
    """Skip requests: as the operator, which decides them at once, or for a respondent."""
    given = _Given(reason=reason, respondent=respondent, revision=revision)
    return _answer("skip", [id, *more], server, given)


def choose(
    id: Id,
    choice: str,
    /,
    *,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    value: Values = None,
    revision: Revision = None,
    server: Server = SERVER,
) -> int:
    """Pick one of the choices of a request.

    Parameters
    ----------
    choice
        Its id; `show` lists them.
    """
    given = _Given(reason=reason, respondent=respondent, phrase=phrase, value=value, revision=revision)
    return _answer(choice, [id], server, given)


@dataclass(frozen=True, kw_only=True)
class _Given:
    """What the options say of an answer."""

    reason: str | None = None
    respondent: str | None = None
    phrase: str | None = None
    value: list[str] | None = None
    revision: int | None = None


def _answer(decision: str, ids: list[str], server: Server, given: _Given) -> int:
    """Answer one request with everything it wants, or several with the same, as they were shown."""
    with server.client() as client:
        if len(ids) > 1:
            return _answer_all(client, decision, ids, server, given)
        filled_in = decision not in {"reject", "skip"}
        request, revision = _looked_at(client, ids, server, given, filled_in=filled_in)[0]
        phrase, values = given.phrase, None
        if request and filled_in:
            phrase = phrase or prompts.phrase(request, as_json=server.json)
            values = prompts.values(request, pairs(given.value), as_json=server.json)
        with _shown_anew(client, ids, server):
            answered = client.respond(
                ids[0],
                decision,
                reason=given.reason,
                respondent=given.respondent,
                phrase=phrase,
                values=values,
                revision=revision,
            )
        shown.remember(client.url, [answered])
    display.print_brief(answered, as_json=server.json)
    return 0


def _answer_all(client: Client, decision: str, ids: list[str], server: Server, given: _Given) -> int:
    if given.phrase or given.value or given.revision:
        raise Failure("a phrase, values or a revision belong to one request; answer it alone", status=2)
    looked = _looked_at(client, ids, server, given)
    asked = [{"id": id, "revision": revision} for id, (_, revision) in zip(ids, looked, strict=True)]
    results = client.respond_to_all(asked, decision, reason=given.reason, respondent=given.respondent)
    display.print_results(results, as_json=server.json)
    return int(any(result["problem"] for result in results))


def _looked_at(
    client: Client, ids: list[str], server: Server, given: _Given, *, filled_in: bool = False
) -> list[tuple[Request | None, int | None]]:
    """Each request with the revision of it that was looked at; those that nobody was shown before are shown now.

    At a terminal somebody then says whether the answer stands, unless they are asked to fill something in anyway. With
    --revision nothing is read but for a form.
    """
    if given.revision and not (given.value or prompts.possible(as_json=server.json)):
        return [(None, given.revision)]
    requests = [_read(client, id) for id in ids]
    seen = [given.revision or shown.recall(client.url, r["id"]) for r in requests]
    unseen = [r for r, revision in zip(requests, seen, strict=True) if revision is None]
    waiting = [r for r in unseen if r["status"] == "pending"]
    if waiting and prompts.possible(as_json=server.json):
        for request in waiting:
            display.print_request(request, [])
        if not (filled_in and any(map(prompts.wanted, waiting))):
            prompts.confirm()
    shown.remember(client.url, unseen)
    return [
        (r, r.get("revision") if revision is None else revision)
        for r, revision in zip(requests, seen, strict=True)
    ]


def _read(client: Client, id: str) -> Request:
    try:
        return client.get(id)
    except ApiError as error:
        if error.code != "forbidden_scope":
            raise
        raise Failure(
            f"{error}\nA key that may not read requests answers with --revision, the one that you looked at."
        ) from None


@contextmanager
def _shown_anew(client: Client, ids: list[str], server: Server) -> Iterator[None]:
    """Where a request was changed since it was shown, show it as it is now, and answer nothing."""
    try:
        yield
    except ApiError as error:
        if error.code != "stale_revision":
            raise
        request = _read(client, ids[0])
        shown.remember(client.url, [request])
        if not server.json:
            display.print_request(request, [])
        raise Failure(
            f"{error}\nIt is shown as it is now; to answer that, give the command again."
            if not server.json
            else str(error)
        ) from None


def _print(found: list[Request], limit: int, *, json: bool, links: bool = False) -> None:
    if json:
        display.print_json(found[:limit])
    else:
        display.print_list(found[:limit], more=len(found) > limit, links=links)
