"""`assent audit`: what can be said of the whole audit trail, straight from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from bot.cli import display
from bot.cli.common import Failure, load_settings

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.store.audit.seals import Head

audit = App(name="audit", help="The audit trail, in the database of ASSENT_DATABASE_URL.")

NO_KEYS = (
    "the secret keys are not here: set ASSENT_SECRET_KEYS as the server has them, or run this where {file} is"
)


@audit.command
def verify(*, head: str | None = None, json: bool = False) -> int:
    """Walk the whole chain of events, check its seal, and compare every request with what its events come to.

    Exits with 1 and names the first event that was altered or is missing, the seal if it does not hold, or the first
    request that differs; with 2 for a head that is none. A server may go on writing meanwhile.

    Parameters
    ----------
    head
        What `assent audit head` printed earlier, or a receipt: the trail must still have what it had then.
    json
        Print JSON.
    """
    from bot.store import trail
    from bot.store.audit import audit_replay
    from bot.store.execution import sessions
    from bot.store.queries.snapshot import SqlReader

    settings = load_settings()
    held = _held(head, settings) if head is not None else None
    with sessions.reading(settings.assent_database_url) as connection:
        good, broken = SqlReader(connection).verify_chain()
        sealed, torn = trail.seal_fault(connection, settings.secrets)
        cut = trail.cut_short(connection, *held) if held else None
        fault = broken or torn or cut or audit_replay.first_difference(connection)
    if json:
        said = {"ok": fault is None, "events": good, "fault": fault}
        display.print_json(
            said | {"unsealed": None if torn else sealed.loose, "sealed_with": sealed.key or None}
        )
    elif fault:
        which = f"The {good} events before it" if broken else f"All {good} events"
        rest = "" if torn or cut else f" {which} are as they were written."
        display.console().print(f"Not OK: {display.line(fault)}.{rest}{_advice(torn, settings)}")
    else:
        display.console().print(f"OK: {good} events, each as it was written.{_loosely(sealed)}")
    return 1 if fault else 0


@audit.command
def head(*, json: bool = False) -> None:
    """Print the sealed head of the trail, to keep elsewhere: see `assent audit verify --head`.

    Exits with 1 where the stored seal does not hold.

    Parameters
    ----------
    json
        Print JSON.
    """
    from bot.store import trail
    from bot.store.audit.seals import Seals
    from bot.store.execution import sessions

    settings = load_settings()
    secrets = _needed(settings)
    with sessions.reading(settings.assent_database_url) as connection:
        found, torn = trail.seal_fault(connection, secrets)
    if torn:
        raise Failure(f"{torn}. Look with `assent audit verify`.{_advice(torn, settings)}")
    seals = Seals(secrets)
    sealed = seals.seal(found)
    if json:
        display.print_json({"head": sealed, "seq": found.seq, "hash": found.hash, "key": seals.newest})
    else:
        print(sealed)


@audit.command
def seal(*, json: bool = False) -> None:
    """Accept the trail as it stands and seal it anew: after its key was lost, or once a fault was looked into.

    Its chain of hashes must verify. From then on it is said that only that chain speaks for what came before.

    Parameters
    ----------
    json
        Print JSON.
    """
    from bot.store import trail
    from bot.store.execution import sessions

    settings = load_settings()
    secrets = _needed(settings)
    with sessions.writing(settings.assent_database_url) as connection:
        good, broken = trail.seal(connection, secrets)
    if broken:
        raise Failure(f"not sealed: {broken}")
    if json:
        display.print_json({"events": good})
    else:
        display.console().print(f"Sealed: {good} events, for which only the chain of hashes speaks.")


def _needed(settings: Settings) -> list[str]:
    from bot.settings import SIGNING_KEY

    if secrets := settings.secrets:
        return secrets
    raise Failure(NO_KEYS.format(file=settings.data_folder / SIGNING_KEY), status=2)


def _held(text: str, settings: Settings) -> tuple[int, str]:
    """Return the number and the hash that a head, or a receipt, says the trail had; raises Failure."""
    from bot.receipts import Receipts
    from bot.store.audit.seals import SealError, Seals

    secrets, given = _needed(settings), text.strip()
    try:
        if given.count(".") == 2:
            return Receipts(settings.base_url, secrets).place(given)
        found = Seals(secrets).read(given)
    except (SealError, ValueError) as error:
        raise Failure(f"--head: {error}", status=2) from None
    return found.seq, found.hash


def _loosely(sealed: Head) -> str:
    """Say for how many events the seal does not speak."""
    if not sealed.loose:
        return ""
    return (
        f" {sealed.loose} of them, the last being event {sealed.last_loose}, were written before there was a seal or "
        "without the secret keys: only the chain of hashes speaks for them."
    )


def _advice(torn: str | None, settings: Settings) -> str:
    if torn is None or "missing" in torn:
        return ""
    if not settings.secrets:
        from bot.settings import SIGNING_KEY

        file = settings.data_folder / SIGNING_KEY
        return f" {NO_KEYS.format(file=file)[0].upper()}{NO_KEYS.format(file=file)[1:]}."
    return (
        " Set ASSENT_SECRET_KEYS as the server has them, an earlier key behind the new one; where the key is lost or "
        "the fault is understood, `assent audit seal` seals the trail as it stands."
    )
