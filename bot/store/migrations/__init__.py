"""The schema's history, applied at start under a lock, so that replicas may start at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from bot.domain.errors import Unavailable
from bot.store.database.engine import for_writing, open_engine, sqlite_file

FOLDER = Path(__file__).parent
LOCK = 0x417373656E74
"""The PostgreSQL advisory lock of migrations: "Assent" in ASCII."""


def upgrade(url: str) -> None:
    """Bring the schema of the database at `url` up to date; waits for whoever is doing so already.

    Raises `Unavailable` where a newer version made the schema.
    """
    if not check(url):
        _upgrade(url)


def _upgrade(url: str, revision: str = "head") -> None:
    from alembic import command  # noqa: PLC0415 - a server whose schema is up to date does without Alembic
    from alembic.config import Config  # noqa: PLC0415 - likewise
    from alembic.util import CommandError  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    engine = open_engine(url)
    try:
        with for_writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except CommandError as error:  # it does not know the revision
        raise Unavailable(
            "the database was last used by a newer Assent: run that version, or one newer"
        ) from error
    finally:
        engine.dispose()


def exists(url: str) -> bool:
    """Whether the database at `url` has any schema of ours."""
    return _revision(url) is not None


def check(url: str) -> bool:
    """Whether the schema of the database at `url` is up to date. A SQLite file that is not there is not made."""
    return _revision(url) == _head()


def current(connection: Connection) -> bool:
    """Whether the schema on this connection is up to date."""
    return _on(connection) == _head()


def _revision(url: str) -> str | None:
    file = sqlite_file(url)
    if file and not file.exists():
        return None
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return _on(connection)
    finally:
        engine.dispose()


def _on(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _head() -> str:
    """The newest revision: the number that its file's name begins with."""
    return max(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))
