"""`assent keys`: API keys, straight on the database, so that the first one needs no other."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from cyclopts import App

from bot.cli import display
from bot.cli.common import Failure, load_settings

if TYPE_CHECKING:
    from bot.ports.store import ApiKey

MAX_NAME = 100
"""Characters; the name stands in the audit trail and on cards where the key decides as operator."""

keys = App(name="keys", help="API keys, in the database of ASSENT_DATABASE_URL.")


@keys.command
def create(*, name: str, scopes: str, json: bool = False) -> None:
    """Make a key and print it; it is shown only this once.

    There are two kinds, for different holders: those that ask (submit: a program's or an agent's, which reads what it
    asked itself), and those that decide (respond, operate, links) or look at everything (read).

    Parameters
    ----------
    name
        Who uses it; stands in the audit trail of whatever it does.
    scopes
        What it may do, comma separated: submit, read, respond, operate, links, admin.
    json
        Print JSON.
    """
    granted = _scopes(scopes)
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise Failure(f"--name: give 1 to {MAX_NAME} printable characters", status=2)
    from bot.delivery.signing import secret_from
    from bot.store.execution import sessions
    from bot.store.queries import api_keys as stored

    warning = _both_kinds(granted)
    signing = secret_from(token_hex(32))
    with sessions.writing(load_settings().assent_database_url) as connection:
        key, secret = stored.create(connection, name.strip(), granted, datetime.now(UTC), signing)
    if json:
        shown = {"id": key.id, "key": secret, "callback_secret": signing}
        warned = {"warning": warning} if warning else {}
        display.print_json({**shown, "name": key.name, "scopes": sorted(key.scopes), **warned})
    else:
        if warning:
            display.print_error(f"warning: {warning}")
        print(secret)
        note = f"This is {key.id}. Keep it now: it cannot be shown again."
        print(note, file=sys.stderr)
        print(f"Callbacks of requests that come with it are signed with {signing}", file=sys.stderr)


@keys.command(name="list")
def list_keys(*, json: bool = False) -> None:
    """List the keys, oldest first, revoked ones too; never the keys themselves."""
    from bot.store.execution import sessions
    from bot.store.queries import api_keys as stored

    with sessions.writing(load_settings().assent_database_url) as connection:
        found = [_described(key) for key in stored.every(connection)]
    if json:
        display.print_json(found)
    else:
        display.print_keys(found)


@keys.command
def revoke(id: str, /, *, json: bool = False) -> None:
    """Revoke a key for good; a running server refuses it within 5 seconds.

    Parameters
    ----------
    id
        The key's id, key_…; see `assent keys list`.
    json
        Print JSON.
    """
    from bot.store.execution import sessions
    from bot.store.queries import api_keys as stored

    with sessions.writing(load_settings().assent_database_url) as connection:
        stored.revoke(connection, id, datetime.now(UTC))
        key = next((key for key in stored.every(connection) if key.id == id), None)
    if key is None:
        raise Failure(f"there is no key {id}; `assent keys list` names them")
    if json:
        display.print_json(_described(key))
    else:
        display.print_keys([_described(key)])


def _scopes(text: str) -> frozenset[str]:
    from bot.domain.access.authority import Scope

    wanted = {part.strip() for part in text.split(",") if part.strip()}
    if not wanted or not wanted <= set(Scope):
        unknown = ", ".join(sorted(wanted - set(Scope))) or "none given"
        raise Failure(f"--scopes: {unknown}; a key may have: {', '.join(Scope)}", status=2)
    return frozenset(wanted)


def _both_kinds(scopes: frozenset[str]) -> str | None:
    """What to say of a key that asks and decides; no key decides as operator what it submitted itself."""
    from bot.domain.access.authority import DECIDING, Scope

    deciding = [scope for scope in DECIDING if scope in scopes]
    if Scope.SUBMIT not in scopes or not deciding:
        return None
    return (
        f"this key both asks (submit) and decides ({', '.join(deciding)}). Make two: one that asks for the "
        "program, one that decides for people or their tool. With operate alone it is refused for what it asked itself."
    )


def _described(key: ApiKey) -> dict[str, Any]:
    from bot.schemas.responses import instant

    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": instant(key.created_at),
        "revoked_at": instant(key.revoked_at),
    }
