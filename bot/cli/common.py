"""What the commands share: the options of a connection, files of JSON, failures in words."""

from __future__ import annotations

import json as jsonlib
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Group, Parameter

from bot.client import ApiError, AssentError, AsyncClient, Client, Unreachable
from bot.domain.errors import Unavailable
from bot.wire.members import RepeatedMember, distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.settings import Settings

C = TypeVar("C", Client, AsyncClient)

EXIT_OF_STATUS = {"approved": 0, "rejected": 1, "skipped": 1, "cancelled": 1, "expired": 3, "pending": 4}
"""Exit statuses of `wait` and `submit --wait` (CONTRACT §6); those of their faults are of `no_outcome`."""


class Failure(Exception):
    """Something a person can mend: the message goes to standard error, `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


FAULTS = (Failure, AssentError, Unavailable, ModuleNotFoundError, OSError)
"""What ends a command with words instead of a traceback."""


def in_words(fault: Exception) -> str:
    """Say what went wrong, and what may help."""
    match fault:
        case Unreachable():
            return f"{fault}\nIs `assent serve` running there? Name another address with --url or ASSENT_URL."
        case ApiError(code="unauthenticated"):
            return f"{fault}\nGive an API key with ASSENT_API_KEY or --key."
        case ModuleNotFoundError():
            return f"this needs the server ({fault.name} is missing): pip install 'assent[server]'"
    return str(fault)


@contextmanager
def no_outcome() -> Iterator[None]:
    """Let no fault exit with the status of an outcome: 4 where the time of a wait is over, 2 for any other."""
    try:
        yield
    except FAULTS as fault:
        status = EXIT_OF_STATUS["pending"] if isinstance(fault, TimeoutError) else 2
        raise Failure(in_words(fault), status) from fault


@Parameter(name="*", group=Group("Server", sort_key=90))
@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the server is, and how to print what it answers."""

    url: Annotated[str | None, Parameter(env_var="ASSENT_URL")] = None
    """Address of the server; http://127.0.0.1:8080 if not given."""

    key: Annotated[str | None, Parameter(env_var="ASSENT_API_KEY")] = None
    """API key. The variable is safer: other users of this machine can read a command's options."""

    json: bool = False
    """Print JSON."""

    def client(self) -> Client:
        """Connect to the server, in blocking code."""
        return self._connect(Client, "cli")

    def async_client(self, surface: str) -> AsyncClient:
        """Connect to the server in asyncio, with answers recorded as coming from `surface`."""
        return self._connect(AsyncClient, surface)

    def _connect(self, kind: type[C], surface: str) -> C:
        """Make a client; the file `.env` counts only where no key is given.

        So a file that lies about in some folder cannot send somebody's key to another address.
        """
        from dotenv import dotenv_values

        url, key = self.url, self.key
        if not key:
            file = dotenv_values(".env")
            url, key = url or file.get("ASSENT_URL"), file.get("ASSENT_API_KEY")
        try:
            return kind(url, key, surface=surface)
        except ValueError as error:
            raise Failure(f"{error}. See --url and --key, ASSENT_URL and ASSENT_API_KEY.", status=2) from None


SERVER = Server()


def load_settings() -> Settings:
    """Read the settings of the server; raises Failure with every fault, one a line."""
    from bot import settings

    try:
        return settings.load()
    except settings.SettingsError as error:
        raise Failure("\n".join(["these settings cannot be used:", *error.faults]), status=2) from None


def read_json(name: str) -> Any:
    """Return the JSON in the file `name`, or on standard input if that is `-`; raises Failure."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return jsonlib.loads(data.decode(), parse_constant=_refuse, object_pairs_hook=distinct)
    except OSError as error:
        raise Failure(f"cannot read {where}: {error.strerror}") from None
    except jsonlib.JSONDecodeError as error:
        raise Failure(
            f"{where} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RepeatedMember as error:
        raise Failure(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise Failure(f"{where} is not JSON in UTF-8: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def pairs(options: list[str] | None) -> dict[str, str] | None:
    """Read `["key=value", …]`."""
    return dict(option.split("=", 1) for option in options) if options else None


def check_pairs(_type: Any, options: list[str] | None) -> None:
    for option in options or ():
        key, equals, _ = option.partition("=")
        if not (key and equals):
            raise ValueError(f"{option!r} is not KEY=VALUE")


Pairs = Annotated[list[str] | None, Parameter(validator=check_pairs, allow_leading_hyphen=True)]

Words = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""Text, or a file's name, that may begin with a hyphen: a Markdown list, or - for standard input."""
