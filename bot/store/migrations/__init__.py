"""The schema's history, applied at start under a lock, so that replicas may start at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from bot.store.engine import for_writing, open_engine

LOCK = 0x417373656E74
"""The PostgreSQL advisory lock of migrations: "Assent" in ASCII."""


def upgrade(url: str) -> None:
    """Bring the schema of the database at `url` up to date; waits for whoever is doing so already."""
    engine = open_engine(url)
    try:
        with for_writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def check(url: str) -> bool:
    """Whether the schema is up to date."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return current(connection)
    finally:
        engine.dispose()


def current(connection: Connection) -> bool:
    """Whether the schema on this connection is up to date."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
