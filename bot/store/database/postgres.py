"""How PostgreSQL is reached: its URL in every form that libpq knows, straight or through a pooler."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    import psycopg

SETTINGS = {
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
}
"""Set once connected, not by the start-up parameter `options`, which poolers refuse."""

BY_KEYS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Every statement of a batch finds its rows by keys. PostgreSQL, which takes the given rows for a hundred and knows
nothing of a table that has just grown, would read all of it for each batch until it is analysed (measured)."""

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")

BY_STATEMENT = (
    "the database is reached through a pooler in statement mode, which takes no transactions: set its pool_mode to "
    "session or transaction"
)

ROUNDS = 5
PROBE_SECONDS = 5.0
"""How often, and how long, it is looked whether connections are shared."""

HOW = "write postgresql://USER:PW@HOST/DB, several hosts as HOST:PORT,HOST:PORT"


@dataclass(slots=True)
class Postgres:
    """One database: libpq's parameters, and whether a pooler lends a connection for one transaction only.

    Until that is known it is taken for granted: then nothing is kept on a connection, which works everywhere.
    """

    parameters: dict[str, str] = field(repr=False)
    by_transaction: bool = True

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection for SQLAlchemy."""
        import psycopg  # noqa: PLC0415 - 9 MiB that a server on SQLite does without

        connection = psycopg.connect(**self._given)
        if not self.by_transaction:
            connection.autocommit = True
            connection.execute(configuring(SETTINGS, local=False))
            connection.autocommit = False
        return connection

    async def listening(self) -> psycopg.AsyncConnection[Any]:
        """Open a connection of its own, each statement of which is a transaction."""
        import psycopg  # noqa: PLC0415 - as above

        return await psycopg.AsyncConnection.connect(**self._given, autocommit=True)

    @property
    def _given(self) -> dict[str, Any]:
        prepared = {"prepare_threshold": None} if self.by_transaction else {}
        return {"connect_timeout": "10", "application_name": "assent", **self.parameters, **prepared}

    async def look(self) -> None:
        """Find out whether connections are lent for one transaction: then two of ours use one in turn.

        Raises psycopg's errors where there is no connection, and `Unavailable` where there are no transactions.
        """
        import psycopg  # noqa: PLC0415 - as above

        try:
            async with asyncio.timeout(PROBE_SECONDS), AsyncExitStack() as stack:
                pair = [await stack.enter_async_context(await self.listening()) for _ in range(2)]
                seen: list[set[int]] = [set(), set()]
                for _ in range(ROUNDS):
                    for connection, pids in zip(pair, seen, strict=True):
                        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
                        pids.add(row[0] if row else 0)
                try:
                    await pair[0].execute("BEGIN")
                except psycopg.Error:
                    raise Unavailable(BY_STATEMENT) from None
        except TimeoutError:  # there is no second connection while the first one is held
            self.by_transaction = False
            return
        self.by_transaction = bool(seen[0] & seen[1]) or max(map(len, seen)) > 1


def configuring(settings: dict[str, str], *, local: bool) -> str:
    """One statement that sets all of these, for the session or for this transaction."""
    calls = (f"set_config('{name}', '{value}', {str(local).lower()})" for name, value in settings.items())
    return f"SELECT {', '.join(calls)}"


def parameters(text: str) -> dict[str, str]:
    """Libpq's parameters of a URL (PostgreSQL, "Connection URIs"); raises `ValueError` with what is wrong with it."""
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"names {scheme!r}; {HOW}")
    try:
        found = _read(_STRICT, rest)
    except ValueError:
        if "@" not in rest:
            raise
        found = _read(_LIBERAL, rest)  # a password that has a / or a ? as it is
    _check(found)
    return found


_STRICT = re.compile(
    r"(?:(?P<user>[^:/@?]*)(?::(?P<password>[^@/?]*))?@)?(?P<hosts>[^/?@]*)(?P<rest>(?:[/?].*)?)", re.DOTALL
)
_LIBERAL = re.compile(
    r"(?:(?P<user>[^:/@?]*)(?::(?P<password>.*))?@)(?P<hosts>[^/?@]*)(?P<rest>(?:[/?][^@]*)?)", re.DOTALL
)


def _read(shape: re.Pattern[str], rest: str) -> dict[str, str]:
    parts = shape.fullmatch(rest)
    if parts is None:
        raise ValueError(f"is no database URL; {HOW}")
    path, _, query = parts["rest"].partition("?")
    options = _options(query)
    named = options.pop("host", [])
    hosts = [_host(each) for one in [parts["hosts"], *named] for each in one.split(",") if each]
    given = {
        "user": unquote(parts["user"] or ""),
        "password": unquote(parts["password"] or ""),
        "dbname": unquote(path.removeprefix("/")),
        "host": ",".join(host for host, _ in hosts),
        "port": ",".join(port for _, port in hosts) if any(port for _, port in hosts) else "",
    }
    return {name: value for name, value in given.items() if value} | {
        name: values[-1] for name, values in options.items()
    }


def _options(query: str) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        options.setdefault(name, []).append(value)
    return options


_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d*))?")


def _host(text: str) -> tuple[str, str]:
    """Host and port of one of several; a path is that of a socket's folder."""
    if unquote(text).startswith("/"):
        folder, _, port = unquote(text).partition(":")
        return folder, port
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(
            f"names the host {unquote(text)!r}, which is none; an IPv6 address stands in [ ]; {HOW}"
        )
    port = found["port"] or ""
    if port and not 0 < int(port) < 65536:
        raise ValueError(f"names the port {port}, which is none; {HOW}")
    return unquote(found["v6"] or found["name"]), port


def _check(found: dict[str, str]) -> None:
    """Raise `ValueError` for parameters that libpq does not know."""
    import psycopg  # noqa: PLC0415 - as above
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - as above

    for name, value in found.items():
        try:
            make_conninfo("", **{name: value})
        except psycopg.Error as error:
            why = " ".join(str(error).split())
            raise ValueError(f"has an option that PostgreSQL does not take: {why}") from None


def shown(text: str) -> str:
    """The URL without what may be secret in it."""
    found = parameters(text)
    hosts, ports = found.get("host", "").split(","), found.get("port", "").split(",")
    ports += [""] * (len(hosts) - len(ports))
    places = [_place(host, port) for host, port in zip(hosts, ports, strict=False)]
    user = f"{found['user']}@" if "user" in found else ""
    return f"postgresql://{user}{','.join(places)}/{found.get('dbname', '')}"


def _place(host: str, port: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name
