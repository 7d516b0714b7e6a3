"""Fixtures for every test: real databases, a real browser, and nothing of the developer's own settings."""

from __future__ import annotations

import gc
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import settings

from bot.store import SqlStore, migrations
from tests.support.browser import open_page, running_browser
from tests.support.ports import free_port
from tests.support.postgres import empty, running_postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from tests.support.postgres import Postgres

# In CI the same examples every time, so that a red build can be repeated anywhere with CI=true, and half as many.
# `--hypothesis-profile` names another: `quick` for the inner loop, `long` for a night.
IN_CI = "CI" in os.environ
for profile, examples in {"quick": 10, "assent": 50 if IN_CI else 100, "long": 1000}.items():
    settings.register_profile(
        profile, max_examples=examples, deadline=None, derandomize=IN_CI, print_blob=True
    )
settings.load_profile("assent")

# By default a traceback is drawn with every local variable, for seconds in which no Slack is acknowledged.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


FOLDERS = frozenset({"unit", "store", "surfaces", "e2e", "properties", "contract"})
"""The kinds of tests, each a folder and a marker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its folder, and with `postgresql` where it runs on that database."""
    for item in items:
        for folder in FOLDERS.intersection(item.path.parts):
            item.add_marker(folder)
        if "postgresql" in getattr(item, "callspec", _NO_PARAMETERS).id:
            item.add_marker("postgresql")


_NO_PARAMETERS = SimpleNamespace(id="")


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env`, an `assent.toml` or a Slack token of whoever runs the tests must never reach them."""
    for name in list(os.environ):
        if name.startswith(("ASSENT_", "SLACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port on which nothing listens, in place of pytest-asyncio's: the system may give that one to others."""
    return free_port()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the whole run."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A new, empty PostgreSQL database: `postgresql://…`."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new, empty SQLite database in a file: `sqlite:///…`."""
    return f"sqlite:///{tmp_path / 'assent.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new, empty database; a test that takes this runs once on each kind."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture(scope="session")
def _shared_postgres_url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """A database with the current schema and nothing in it, once of each kind; on PostgreSQL it is emptied, not new."""
    if request.param == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        migrations.upgrade(url)
    else:
        url = request.getfixturevalue("_shared_postgres_url")
        empty(url)
    return url


@pytest.fixture
async def migrated_store(migrated_url: str) -> AsyncIterator[SqlStore]:
    """A running store with nothing in it, once on each kind of database."""
    store = SqlStore(migrated_url)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium; `tests.support.browser.open_page` opens pages as other visitors would see them."""
    async with running_browser() as chromium:
        yield chromium


@pytest.fixture
async def page(browser: Browser) -> Page:
    """A page in a desktop browser with JavaScript on, in light colours."""
    return await open_page(browser)
