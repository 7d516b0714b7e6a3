"""Every way to write where the database is, and what is said of every wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from bot import settings
from bot.settings import SettingsError
from bot.store.database.engine import check_url, shown, sqlite_file
from bot.store.database.postgres import parameters

ALIKE = [
    "postgresql://u:p@h1:5432,h2:5433/db?target_session_attrs=read-write",
    "postgresql://u:p@h1,h2/db",
    "postgresql://u@[::1]:5432/db",
    "postgresql://u@[2001:db8::7],[::1]:5433/db",
    "postgresql:///db?host=/var/run/postgresql",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/db",
    "postgresql://u:p%40%2F%3Fw@host/db?sslmode=require&connect_timeout=3",
    "postgresql://u:p@host",
    "postgresql://host:6432/a%20b",
    "postgresql://",
    "postgresql://host/db?user=a%40b&password=c",
    "postgres://u@host/db?application_name=mine",
]
"""What libpq reads by itself."""


@pytest.mark.parametrize("url", ALIKE)
def test_it_is_read_as_libpq_reads_it(url: str) -> None:
    theirs = {name: value for name, value in conninfo_to_dict(url).items() if value.strip(",")}
    assert parameters(url) == theirs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p/w?x@host:5432/db",
            {"user": "u", "password": "p/w?x", "host": "host", "port": "5432"},
        ),
        ("postgresql://u:a@b@host/db", {"user": "u", "password": "a@b", "host": "host"}),
        ("postgresql+psycopg://u:p@host/db", {"user": "u", "password": "p", "host": "host"}),
        ("postgresql:///db?host=h1:5432&host=h2:5433", {"host": "h1,h2", "port": "5432,5433"}),
        ("postgresql:///db?host=h1,h2&port=6000", {"host": "h1,h2", "port": "6000"}),
        (
            "postgresql://u@[::1],db.example.com:1/db",
            {"user": "u", "host": "::1,db.example.com", "port": ",1"},
        ),
    ],
)
def test_and_what_people_write_as_well(url: str, expected: dict[str, Any]) -> None:
    assert parameters(url) == {**expected, "dbname": "db"}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://h:port/db", "names the host 'h:port', which is none"),
        ("postgresql://u:p@h1:5432,h2:99999/db", "names the port 99999, which is none"),
        ("postgresql://u:p@h1:0/db", "names the port 0"),
        ("postgresql://::1/db", "an IPv6 address stands in [ ]"),
        ("postgresql://[::1/db", "names the host"),
        ("postgresql://host/db?pgbouncer=true", "has an option that PostgreSQL does not take"),
        ("mysql://host/db", "names 'mysql'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("assent.db", "is no database URL"),
        ("", "is no database URL"),
    ],
)
def test_what_is_wrong_is_said(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_url(url)
    assert words in str(caught.value)
    if url:
        with pytest.raises(SettingsError) as refused:
            settings.load({"ASSENT_DATABASE_URL": url})
        assert refused.value.faults[0].startswith("ASSENT_DATABASE_URL: ")


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@h1,h2:1/db?sslmode=s3cret", "postgresql://u:s3/cret@[::1]/db"]
)
def test_it_is_shown_without_its_secrets(url: str) -> None:
    assert "s3" not in shown(url)
    assert shown("postgresql://u:s3@h1,[::1]:1/db?passfile=s3") == "postgresql://u@h1,[::1]:1/db"
    assert shown("sqlite:////var/a.db") == "sqlite:////var/a.db"
    assert sqlite_file(url) is None


def test_a_wrong_one_is_refused_without_showing_its_password() -> None:
    for url in ("postgresql://u:s3cret@host:port/db", "postgresql://u:s3cret@host/db?nonsense=s3cret"):
        with pytest.raises(ValueError, match=r".") as caught:
            check_url(url)
        assert "s3cret" not in str(caught.value)
