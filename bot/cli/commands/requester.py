"""Commands of those who ask: submit, wait, cancel, notify."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

from bot.cli import display
from bot.cli.common import (
    EXIT_OF_STATUS,
    SERVER,
    Failure,
    Pairs,
    Server,
    Words,
    error_text,
    json_in,
    no_outcome,
    pairs,
    read_json,
)
from bot.client import Unanswered
from bot.schemas.members import RepeatedMember

if TYPE_CHECKING:
    from bot.client import Client, Request


def submit(
    *,
    title: Words = None,
    audience: list[str] | None = None,
    message: Words = None,
    quorum: str | None = None,
    payload: Words = None,
    file: Words = None,
    detail: Pairs = None,
    label: Pairs = None,
    timeout: float | None = None,
    on_timeout: Literal["expire", "approve", "reject", "skip", "escalate"] | None = None,
    level: Literal["info", "confirm", "verify"] | None = None,
    verification_phrase: str | None = None,
    reason: Literal["optional", "on_reject", "required"] | None = None,
    reject_quorum: int | None = None,
    allow_skip: bool | None = None,
    requester: str | None = None,
    source_url: str | None = None,
    callback_url: str | None = None,
    idempotency_key: str | None = None,
    wait: bool = False,
    server: Server = SERVER,
) -> int:
    """Ask people for approval.

    Prints the request, or with --wait its outcome, and then exits with 0 if approved, 1 if rejected, skipped
    or cancelled, 3 if expired, 2 if something went wrong.

    Parameters
    ----------
    title
        What people read first.
    audience
        Whom to ask: slack:U…, slack:C… (a channel), email:ana@example.com, ana@example.com (Slack and mail),
        group:NAME. May be given several times.
    message
        Explanation, in Markdown.
    quorum
        How many must approve: a number, "all", "majority", or a rule in JSON. [default: 1]
    payload
        File of JSON with exactly what will be done; - is standard input.
    file
        File of JSON with the fields of a request; - is standard input. Options override it.
    detail
        KEY=VALUE, shown in a table. May be given several times.
    label
        KEY=VALUE, to find the request by. May be given several times.
    timeout
        Seconds until the deadline. Without one, the request waits for ever.
    on_timeout
        What happens at the deadline. [default: expire]
    level
        How much care is asked: info only tells people, verify makes them type a phrase. [default: confirm]
    verification_phrase
        What people must type at level verify.
    reason
        Whether people must say why. [default: optional]
    reject_quorum
        How many rejections end it. [default: 1]
    allow_skip
        Let people answer "skip".
    requester
        Who asks; may not approve it.
    source_url
        Where this comes from, for example the run of a pipeline.
    callback_url
        Gets the outcome as a webhook.
    idempotency_key
        The same key asks only once, however often the command runs.
    wait
        Wait for the outcome.
    """
    fields: dict[str, Any] = {
        "title": title,
        "audience": audience,
        "message": message,
        "quorum": _quorum(quorum),
        "details": pairs(detail),
        "labels": pairs(label),
        "timeout_seconds": timeout,
        "on_timeout": on_timeout,
        "level": level,
        "verification_phrase": verification_phrase,
        "reason": reason,
        "reject_quorum": reject_quorum,
        "allow_skip": allow_skip,
        "requester": requester,
        "source_url": source_url,
        "callback_url": callback_url,
    }
    with no_outcome() if wait else nullcontext(), server.client() as client:
        fields["payload"] = read_json(payload) if payload else None
        given = {name: value for name, value in fields.items() if value is not None}
        request = _asked(client, {"idempotency_key": idempotency_key, **_from_file(file), **given})
        if wait:
            request = _waited(client, request.id, None)
    display.print_brief(request, as_json=server.json)
    return EXIT_OF_STATUS[request.status] if wait else 0


def wait(
    id: str,
    /,
    *,
    timeout: float | None = None,
    server: Server = SERVER,
) -> int:
    """Wait for the outcome of a request, through restarts of the server.

    Exits with 0 if approved, 1 if rejected, skipped or cancelled, 3 if expired, 4 if it is still pending or the
    server does not answer once the time is over, 2 if something else went wrong.

    Parameters
    ----------
    id
        The request, req_….
    timeout
        Seconds to wait at most; 0 only looks.
    """
    with no_outcome(), server.client() as client:
        request = _waited(client, id, timeout)
    display.print_brief(request, as_json=server.json)
    return EXIT_OF_STATUS[request.status]


def cancel(id: str, /, *, reason: Words = None, server: Server = SERVER) -> None:
    """Withdraw a request that is still pending.

    Parameters
    ----------
    id
        The request, req_….
    reason
        Why, for those who were asked.
    """
    with server.client() as client:
        display.print_brief(client.cancel(id, reason=reason), as_json=server.json)


def notify(message: str, /, *, audience: list[str], server: Server = SERVER) -> None:
    """Tell people something without asking.

    Parameters
    ----------
    message
        What to tell them, in Markdown.
    audience
        Whom: slack:U…, slack:C…, email:ana@example.com, ana@example.com, group:NAME. May be given several
        times.
    """
    with server.client() as client:
        told = client.notify(message, audience=audience)
    if server.json:
        display.print_json(told)
    else:
        display.console().print("On its way.")


def _asked(client: Client, fields: dict[str, Any]) -> Request:
    """Ask; no answer to that is not yet a request that waits."""
    try:
        return client.submit(**fields)
    except Unanswered as error:
        raise Failure(error_text(error), 2) from error


def _waited(client: Client, id: str, timeout: float | None) -> Request:
    """Wait, and return the request as it stands then."""
    if sys.stderr.isatty():
        display.print_error(f"waiting for {id}; Ctrl-C ends the waiting, not the request")
    try:
        return client.wait(id, timeout).request
    except Unanswered:
        raise
    except TimeoutError:
        return client.get(id)


def _quorum(text: str | None) -> Any:
    if text is None or text in {"all", "majority"}:
        return text
    try:
        return json_in(text)
    except RepeatedMember as error:
        raise Failure(f"--quorum {text}: {error}", status=2) from None
    except (ValueError, RecursionError):
        raise Failure(
            f'--quorum {text}: give a number, "all", "majority", or a rule in JSON', status=2
        ) from None


def _from_file(name: str | None) -> dict[str, Any]:
    fields = read_json(name) if name else {}
    if not isinstance(fields, dict):
        raise Failure(f"{name} does not hold a JSON object, as a request is")
    return fields
