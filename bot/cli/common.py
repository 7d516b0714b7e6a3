"""What the commands share: the options of a connection, files of JSON, failures in words."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Group, Parameter, validators

from bot.client import ApiError, AssentError, AsyncClient, Client, Unreachable
from bot.domain.errors import Unavailable
from bot.keyfile import KEY, KEY_FILE, api_key
from bot.schemas.members import RepeatedMember, distinct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bot.settings import Settings

NO_KEY = " "
"""What a client takes for no key, without looking for one itself."""

C = TypeVar("C", Client, AsyncClient)

EXIT_OF_STATUS = {"approved": 0, "rejected": 1, "skipped": 1, "cancelled": 1, "expired": 3, "pending": 4}
"""Exit statuses of `wait` and `submit --wait`; those of their faults are of `no_outcome`."""


class Failure(Exception):
    """Something a person can mend: the message goes to standard error, `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


FAULTS = (Failure, AssentError, Unavailable, ModuleNotFoundError, OSError)
"""What ends a command with words instead of a traceback."""


def error_text(fault: Exception) -> str:
    """Say what went wrong, and what may help."""
    match fault:
        case Unreachable():
            return f"{fault}\nIs `assent serve` running there? Name another address with --url or ASSENT_URL."
        case ApiError(code="unauthenticated"):
            return f"{fault}\nGive an API key with ASSENT_API_KEY, ASSENT_API_KEY_FILE or --key."
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
        raise Failure(error_text(fault), status) from fault


@Parameter(name="*", group=Group("Server", sort_key=90))
@dataclass(frozen=True, kw_only=True)
class Server:
    """Where the server is, and how to print what it answers."""

    url: Annotated[str | None, Parameter(env_var="ASSENT_URL")] = None
    """Address of the server; http://127.0.0.1:8080 if not given."""

    key: Annotated[str | None, Parameter(env_var="ASSENT_API_KEY")] = None
    """API key. The variable, or ASSENT_API_KEY_FILE, is safer: other users can read a command's options."""

    json: bool = False
    """Print JSON."""

    retry_for: Annotated[float, Parameter(env_var="ASSENT_RETRY_FOR", validator=validators.Number(gte=0))] = (
        20.0
    )
    """Seconds for which to try again while the server is away; 0 tries once."""

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
        try:
            if key is None or key == os.environ.get(KEY):  # not an option: the environment's, or the file's
                here: dict[str, str | None] = {name: os.environ.get(name) for name in (KEY, KEY_FILE)}
                if not any(here.values()):
                    here = dotenv_values(".env")
                    url = url or here.get("ASSENT_URL")
                key = api_key(here)
            return kind(url, key or NO_KEY, surface=surface, retry_for=self.retry_for)
        except ValueError as error:
            raise Failure(
                f"{error}. See --url and --key, ASSENT_URL, ASSENT_API_KEY and ASSENT_API_KEY_FILE.", status=2
            ) from None


SERVER = Server()


def load_settings(only: Collection[str] = ()) -> Settings:
    """Read the settings of the server, or `only` some; raises Failure with every fault, one a line."""
    from bot import settings

    try:
        return settings.load(only=only)
    except settings.SettingsError as error:
        raise Failure("\n".join(["these settings cannot be used:", *error.faults]), status=2) from None


def read_json(name: str) -> Any:
    """Return the JSON in the file `name`, or on standard input if that is `-`; raises Failure."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return json_in(data.decode())
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


def json_in(text: str) -> Any:
    """Return the JSON in a text, with no member twice and no NaN; raises ValueError."""
    return jsonlib.loads(text, parse_constant=_refuse, object_pairs_hook=distinct)


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
