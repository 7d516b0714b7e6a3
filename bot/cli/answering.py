"""Commands of those who are asked: pending, list, show, approve, reject, skip."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from bot.cli import display
from bot.cli.common import SERVER, Pairs, Server
from bot.client import Request

Status = Literal["pending", "approved", "rejected", "skipped", "expired", "cancelled"]
Limit = Annotated[int, Parameter(help="How many at most.")]
Respondent = Annotated[str | None, Parameter(name="--as", help="Who answers, such as email:ana@example.com.")]
Reason = Annotated[str | None, Parameter(help="Why.", allow_leading_hyphen=True)]
Phrase = Annotated[
    str | None,
    Parameter(help="The verification phrase, where the request wants it.", allow_leading_hyphen=True),
]
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
    *,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    server: Server = SERVER,
) -> None:
    """Approve a request: as the operator, which decides it at once, or for a respondent."""
    with server.client() as client:
        request = client.approve(id, reason=reason, respondent=respondent, phrase=phrase)
    display.print_brief(request, as_json=server.json)


def reject(
    id: Id,
    /,
    *,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    server: Server = SERVER,
) -> None:
    """Reject a request: as the operator, which decides it at once, or for a respondent."""
    with server.client() as client:
        request = client.reject(id, reason=reason, respondent=respondent, phrase=phrase)
    display.print_brief(request, as_json=server.json)


def skip(
    id: Id,
    /,
    *,
    reason: Reason = None,
    respondent: Respondent = None,
    phrase: Phrase = None,
    server: Server = SERVER,
) -> None:
    """Skip a request: as the operator, which decides it at once, or for a respondent."""
    with server.client() as client:
        request = client.skip(id, reason=reason, respondent=respondent, phrase=phrase)
    display.print_brief(request, as_json=server.json)


def _print(found: list[Request], limit: int, *, json: bool, links: bool = False) -> None:
    if json:
        display.print_json(found[:limit])
    else:
        display.print_list(found[:limit], more=len(found) > limit, links=links)
