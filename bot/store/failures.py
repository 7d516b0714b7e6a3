"""What a person reads when a database cannot be used at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from bot.domain.errors import Unavailable
from bot.store.engine import database_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def in_words(url: str) -> Iterator[None]:
    """Raise `Unavailable`, which names the database without its password, for whatever keeps it from being used."""
    try:
        yield
    except DBAPIError as error:
        where = database_url(url).render_as_string(hide_password=True)
        why = " ".join(str(error.orig).split())
        raise Unavailable(f"the database {where} cannot be used: {why}") from error
