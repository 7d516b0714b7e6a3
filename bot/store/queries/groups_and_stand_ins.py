"""Small tables that people keep: groups of selectors, and who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, select

from bot.domain.model.request import Respondent
from bot.ports.store import StandIn
from bot.store.database import row_codec
from bot.store.database.tables import groups, standins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bot.store.store import SqlStore

_PERSON = TypeAdapter(Respondent)


class Registry:
    """`ports.Registry` on the store's database."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def groups(self) -> dict[str, tuple[str, ...]]:
        """The members of every stored group, by name."""
        return await self._store.run_read(_groups)

    async def put_group(self, name: str, members: Sequence[str], now: datetime) -> None:
        """Set a group's members."""
        row = {
            "name": name,
            "members": orjson.dumps(list(members)).decode(),
            "updated_at": row_codec.millis(now),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(groups).where(groups.c.name == name))
            connection.execute(groups.insert().values(row))

        await self._store.run_write(work)

    async def delete_group(self, name: str) -> bool:
        """Forget a group; False where there is none."""
        statement = delete(groups).where(groups.c.name == name)
        return await self._store.run_write(lambda c: c.execute(statement).rowcount == 1)

    async def stand_ins(self) -> tuple[StandIn, ...]:
        """Who stands in for whom, those whose time is over included."""
        return await self._store.run_read(_stand_ins)

    async def put_stand_in(self, stand_in: StandIn) -> None:
        """Set who stands in for a person, in place of whoever did."""
        rows = [
            {
                "owner": key,
                "person": _PERSON.dump_json(stand_in.person).decode(),
                "until": row_codec.millis(stand_in.until),
            }
            for key in sorted(stand_in.keys)
        ]

        def work(connection: Connection) -> None:
            connection.execute(delete(standins).where(standins.c.owner.in_(stand_in.keys)))
            connection.execute(standins.insert(), rows)

        await self._store.run_write(work)

    async def delete_stand_in(self, keys: frozenset[str]) -> bool:
        """End a stand-in; False where nobody stands in for this person."""
        statement = delete(standins).where(standins.c.owner.in_(keys))
        return await self._store.run_write(lambda c: c.execute(statement).rowcount > 0)


def _groups(connection: Connection) -> dict[str, tuple[str, ...]]:
    rows = connection.execute(select(groups.c.name, groups.c.members).order_by(groups.c.name))
    return {row.name: tuple(orjson.loads(row.members)) for row in rows}


def _stand_ins(connection: Connection) -> tuple[StandIn, ...]:
    return tuple(
        StandIn(
            keys=frozenset({row.owner}),
            person=_PERSON.validate_json(row.person),
            until=row_codec.instant(row.until),
        )
        for row in connection.execute(select(standins))
    )
