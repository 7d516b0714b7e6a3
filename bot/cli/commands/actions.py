"""Commands around an answer: remind, escalate, delegate, withdraw, comment, revise; and the groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from bot.cli import display, shown
from bot.cli.commands.respondent import Id, Reason, Respondent
from bot.cli.common import SERVER, Pairs, Server, Words, pairs, read_json

if TYPE_CHECKING:
    from bot.client.fields import Changes

Person = Annotated[str, Parameter(help="Such as email:ana@example.com, slack:U… or rsp_….")]

groups = App(name="groups", help="Groups of people, to be asked as group:NAME.")


def remind(id: Id, /, *, server: Server = SERVER) -> None:
    """Ask those who have not answered once more, now."""
    with server.client() as client:
        display.print_brief(client.remind(id), as_json=server.json)


def escalate(
    id: Id, /, *, reason: Reason = None, respondent: Respondent = None, server: Server = SERVER
) -> None:
    """Ask the next level of the escalation, now."""
    with server.client() as client:
        request = client.escalate(id, reason=reason, respondent=respondent)
    display.print_brief(request, as_json=server.json)


def delegate(
    id: Id,
    /,
    *,
    from_: Annotated[Person, Parameter(name="--from", help="Whose place is taken.")],
    to: Annotated[Person, Parameter(help="Who takes it: email:NAME@HOST, slack:U…, or NAME@HOST.")],
    reason: Reason = None,
    server: Server = SERVER,
) -> None:
    """Hand what waits for one respondent on to another person."""
    with server.client() as client:
        display.print_brief(client.delegate(id, from_, to, reason=reason), as_json=server.json)


def withdraw(
    id: Id,
    /,
    *,
    respondent: Annotated[Person, Parameter(name="--as", help="Whose answer is taken back.")],
    server: Server = SERVER,
) -> None:
    """Take an answer back, while the request is pending."""
    with server.client() as client:
        display.print_brief(client.withdraw(id, respondent=respondent), as_json=server.json)


def comment(
    id: Id,
    text: Annotated[str, Parameter(help="What to say.", allow_leading_hyphen=True)],
    /,
    *,
    respondent: Respondent = None,
    server: Server = SERVER,
) -> None:
    """Ask the requester something (--as), or reply as the requester. The request stays open."""
    with server.client() as client:
        request = client.comment(id, text=text, respondent=respondent)
    display.print_brief(request, as_json=server.json)


def revise(
    id: Id,
    /,
    *,
    title: Words = None,
    message: Words = None,
    payload: Words = None,
    detail: Pairs = None,
    reason: Reason = None,
    server: Server = SERVER,
) -> None:
    """Ask something else instead: every answer so far is set back.

    Parameters
    ----------
    title
        What people read first.
    message
        Explanation, in Markdown.
    payload
        File of JSON with exactly what will be done; - is standard input.
    detail
        KEY=VALUE, shown in a table. May be given several times.
    """
    changes: Changes = {"title": title, "message": message, "details": pairs(detail), "reason": reason}
    if payload:
        changes["payload"] = read_json(payload)
    with server.client() as client:
        revised = client.revise(id, **changes)
        shown.remember(client.url, [revised])
    display.print_brief(revised, as_json=server.json)


@groups.command(name="list")
def list_groups(*, server: Server = SERVER) -> None:
    """List every group and who is in it."""
    with server.client() as client:
        found = client.groups()
    if server.json:
        display.print_json(found)
    else:
        display.print_groups(found)


@groups.command(name="set")
def set_group(name: str, /, *members: str, server: Server = SERVER) -> None:
    """Set who is in a group.

    Parameters
    ----------
    name
        The group: asked as group:NAME.
    members
        Selectors, such as ana@example.com or slack:U….
    """
    with server.client() as client:
        group = client.put_group(name, list(members))
    if server.json:
        display.print_json(group)
    else:
        display.print_groups([group])


@groups.command(name="delete")
def delete_group(name: str, /, *, server: Server = SERVER) -> None:
    """Forget a group. Requests that were put to it stay as they are."""
    with server.client() as client:
        client.delete_group(name)
    if server.json:
        display.print_json({"name": name, "deleted": True})
    else:
        display.console().print(f"group:{display.line(name)} is gone.")
