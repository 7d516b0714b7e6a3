"""What can be said of the whole audit trail: its chain, its seal, and whether it still holds what it held before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, select, update

from bot.store.audit.seals import Head, Sealer, SealError, Seals, UnknownKeyError, standing
from bot.store.database.tables import chain, events
from bot.store.queries.snapshot import SqlReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

log = structlog.get_logger(__name__)

_ROW = select(chain.c.seq, chain.c.hash, chain.c.seal).where(chain.c.id == 1)
_HASH = select(events.c.hash).where(events.c.seq == bindparam("at"))


def hash_at(connection: Connection, seq: int) -> str | None:
    """The hash of the event of that number, None where there is none."""
    found: str | None = connection.scalar(_HASH, {"at": seq})
    return found


def head(connection: Connection, secrets: Sequence[str]) -> Head:
    """The head of the stored trail, sealed with one of the `secrets`; raises `SealError` where it is not."""
    row = connection.execute(_ROW).first()
    if row is None:
        raise SealError("the record of the last event is missing")
    if row.seal and not secrets:
        raise UnknownKeyError("there are no secret keys here")
    return standing(Seals(secrets), row.seq, row.hash, row.seal, lambda seq: hash_at(connection, seq))


def seal_fault(connection: Connection, secrets: Sequence[str]) -> tuple[Head, str | None]:
    """The head as far as it is known, and what is wrong with its seal, if anything."""
    try:
        found = head(connection, secrets)
    except UnknownKeyError as error:
        return Head(), f"the seal of the trail's head cannot be checked: {error}"
    except SealError as error:
        return Head(), f"the seal of the trail's head does not hold: {error}"
    if found.seq and not found.key:
        return found, "the trail's head has no seal: nothing with the secret keys has written to it yet"
    if found.broken is not None:
        return found, (
            f"the seal did not hold at event {found.broken}: what the trail was up to there is not certain"
        )
    return found, None


def cut_short(connection: Connection, seq: int, digest: str) -> str | None:
    """What is wrong with a trail that had an event `seq` of this hash once."""
    if seq == 0 or (found := hash_at(connection, seq)) == digest:
        return None
    if found is None:
        return f"event {seq}, which the trail had before, is missing"
    return f"event {seq} is another than the trail had before"


def seal(connection: Connection, secrets: Sequence[str]) -> tuple[int, str | None]:
    """Seal the trail as it stands, whatever was wrong with its seal; only if its chain of hashes verifies.

    How many events it has, and what is wrong with the first bad one.
    """
    row = connection.execute(_ROW.with_for_update()).one()
    good, broken = SqlReader(connection).verify_chain()
    if broken is None:
        accepted = Head(seq=row.seq, hash=row.hash, loose=row.seq, last_loose=row.seq)
        _store(connection, Seals(secrets).seal(accepted))
    return good, broken


def seal_at_start(connection: Connection, secrets: Sequence[str], sealer: Sealer | None = None) -> None:
    """Seal what was written without the newest key; what no key of ours has sealed is told, and left as it is."""
    seals = Seals(secrets)
    row = connection.execute(_ROW.with_for_update()).first()
    if row is None:
        return
    try:
        found = standing(seals, row.seq, row.hash, row.seal, lambda seq: hash_at(connection, seq))
    except SealError as error:
        (sealer or Sealer(seals)).complain(error)
        return
    if row.seal is None and row.seq:
        log.warning(
            "the audit trail had no seal and has one now: only the chain of hashes speaks for what came before",
            action="audit.sealed",
            events=row.seq,
        )
    if found.key != seals.newest or row.seal is None or seals.read(row.seal).seq != row.seq:
        _store(connection, seals.seal(found))


def _store(connection: Connection, sealed: str) -> None:
    connection.execute(update(chain).where(chain.c.id == 1).values(seal=sealed))
