"""Commands of those who are asked: pending, list, show, approve, reject, skip, choose."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from bot.cli import display, prompts
from bot.cli.common import SERVER, Failure, Pairs, Server, pairs
from bot.client import Request

Status = Literal["pending", "approved", "rejected", "skipped", "expired", "cancelled"]
Limit = Annotated[int, Parameter(help="How many at most.", validator=Number(gte=1))]
Respondent = Annotated[str | None, Parameter(name="--as", help="Who answers, such as email:ana@example.com.")]
Reason = Annotated[str | None, Parameter(help="Why.", allow_leading_hyphen=True)]
Phrase = Annotated[
    str | None,
    Parameter(help="The verification phrase, where the request wants it.", allow_leading_hyphen=True),
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
    _print(found, limit, json=server.json)


def show(id: Id, /, *, server: Server = SERVER) -> None:
    """Show everything about one request, and which cards and mails did not arrive."""
    with server.client() as client:
        request = client.get(id)
        deliveries = [] if server.json else client.deliveries(id)
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
    server: Server = SERVER,
) -> int:
    """Approve requests: as the operator, which decides them at once, or for a respondent.

    Where a request has a form, --value fills it in; in a terminal, what is not given is asked for.
    """
    return _answer(
        "approve", [id, *more], server, reason=reason, respondent=respondent, phrase=phrase, value=value
    )


def reject(
    id: Id,
    /,
    *more: More,
    reason: Reason = None,
    respondent: Respondent = None,
    server: Server = SERVER,
) -> int:
    """Reject requests: as the operator, which decides them at once, or for a respondent."""
    return _answer("reject", [id, *more], server, reason=reason, respondent=respondent)


def skip(
    id: Id,
    /,
    *more: More,
    reason: Reason = None,
    respondent: Respondent = None,
    server: Server = SERVER,
) -> int:
    """Skip requests: as the operator, which decides them at once, or for a respondent."""
    return _answer("skip", [id, *more], server, reason=reason, respondent=respondent)


def choose(
    id: Id,
    choice: str,
    /,
    *,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    value: Values = None,
    server: Server = SERVER,
) -> int:
    """Pick one of the choices of a request.

    Parameters
    ----------
    choice
        Its id; `show` lists them.
    """
    return _answer(choice, [id], server, reason=reason, respondent=respondent, phrase=phrase, value=value)


def _answer(
    decision: str,
    ids: list[str],
    server: Server,
    *,
    reason: str | None,
    respondent: str | None,
    phrase: str | None = None,
    value: list[str] | None = None,
) -> int:
    """Answer one request with everything it wants, or several with the same."""
    with server.client() as client:
        if len(ids) > 1:
            if phrase or value:
                raise Failure("a phrase or values belong to one request; answer it alone", status=2)
            results = client.respond_to_all(ids, decision, reason=reason, respondent=respondent)
            display.print_results(results, as_json=server.json)
            return int(any(result["problem"] for result in results))
        typed, values = pairs(value), None
        if decision not in {"reject", "skip"} and (typed or prompts.possible(as_json=server.json)):
            request = client.get(ids[0])
            phrase = phrase or prompts.phrase(request, as_json=server.json)
            values = prompts.values(request, typed, as_json=server.json)
        answered = client.respond(
            ids[0], decision, reason=reason, respondent=respondent, phrase=phrase, values=values
        )
    display.print_brief(answered, as_json=server.json)
    return 0


def _print(found: list[Request], limit: int, *, json: bool, links: bool = False) -> None:
    if json:
        display.print_json(found[:limit])
    else:
        display.print_list(found[:limit], more=len(found) > limit, links=links)
