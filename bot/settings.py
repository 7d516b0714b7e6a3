"""Environment, `.env` and `assent.toml` → one frozen object; every fault is reported at once.

The names, meanings and defaults are those of the table in docs/reference/settings.md.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import os
import re
import secrets
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bot import private_files
from bot.delivery.signing import check_secret, secret_from
from bot.domain.access.visibility import Visibility
from bot.domain.callbacks.orchestrators import orchestrator
from bot.domain.errors import Unavailable
from bot.domain.model.hours import hours_fault
from bot.domain.model.spec import Hours
from bot.domain.payload.views import View
from bot.domain.people.audience import parse_selector
from bot.domain.policies.policy import Policy, policy_fault
from bot.domain.policies.view_settings import views_of
from bot.email.config import SmtpConfig, parse_smtp_url
from bot.keyfile import KEY, KEY_FILE, api_key
from bot.links import MAX_BASE_URL

SIGNING_KEY = "assent.key"
"""The file of the signing key that is made where none is set."""

WEBHOOK_KEY = "webhook.key"
"""The file of the secret that signs callbacks, likewise."""


MIN_KEY_LENGTH = 32
"""Characters of a signing key; 128 bits as hex digits."""
MIN_API_KEY = 20
"""Characters of the bootstrap key."""

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """Settings that cannot work; `faults` are sentences, one a fault, that name the setting and never its secret."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class WorkingHours(BaseModel):
    """`[working_hours]`: when people may be reminded, and the next level asked by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    start: str = "09:00"
    end: str = "17:00"
    zone: str = "UTC"

    @property
    def hours(self) -> Hours:
        """The same as the domain knows it."""
        numbers = {name: number for number, name in enumerate(get_args(Weekday))}
        days = tuple(sorted(numbers[day] for day in self.days))
        return Hours(days=days, start=self.start, end=self.end, zone=self.zone)


class Settings(BaseModel):
    """Everything that can be set. Field names are the settings' names in lower case."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    assent_database_url: str = "sqlite:///assent.db"
    assent_host: str = "127.0.0.1"
    assent_port: Port = 8080
    assent_base_url: str = ""
    assent_secret_keys: tuple[SecretStr, ...] = ()
    assent_api_key: SecretStr | None = None
    assent_api_key_file: Path | None = None
    assent_trusted_proxies: tuple[str, ...] = ()
    assent_visibility: Visibility = Visibility.INVOLVED
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_client_id: str | None = None
    slack_client_secret: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"
    slack_allow_external: bool = False
    assent_default_audience: tuple[str, ...] = ()
    assent_smtp_url: SecretStr | None = None
    assent_mail_from: str | None = None
    assent_auto_approve: bool = False
    assent_webhook_secret: SecretStr | None = None
    assent_callback_allow_private: bool = False
    assent_airflow_url: SecretStr | None = None
    assent_prefect_url: SecretStr | None = None
    assent_prefect_on_reject: Literal["pause", "cancel"] = "pause"
    assent_config: Path | None = None
    groups: Mapping[str, tuple[str, ...] | str] = {}
    working_hours: WorkingHours | None = None
    policies: tuple[Policy, ...] = ()
    views: tuple[View, ...] = ()
    templates: Path | None = None

    @field_validator("assent_secret_keys", "assent_default_audience", "assent_trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("assent_secret_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < MIN_KEY_LENGTH for key in keys):
            raise _fault(
                f"every key needs at least {MIN_KEY_LENGTH} characters; make one with: openssl rand -hex 32"
            )
        return keys

    @field_validator("assent_api_key")
    @classmethod
    def _hard_to_guess(cls, key: SecretStr | None) -> SecretStr | None:
        if key and len(key.get_secret_value()) < MIN_API_KEY:
            raise _fault(f"needs at least {MIN_API_KEY} characters; make one with: openssl rand -hex 32")
        return key

    @field_validator("assent_trusted_proxies")
    @classmethod
    def _proxies(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [value for value in values if not is_network(value)]
        if wrong:
            raise _fault(
                f"{', '.join(wrong)}: write addresses or networks, as in 10.0.0.0/8, 192.0.2.7, 2001:db8::/32"
            )
        return values

    @field_validator("assent_database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        from bot.store.database.engine import check_url  # noqa: PLC0415 - the base install has no databases

        try:
            check_url(value)
        except ValueError as error:
            raise _fault(str(error)) from None
        return value

    @field_validator("assent_host")
    @classmethod
    def _address(cls, value: str) -> str:
        if fault := _host_fault(value):
            raise _fault(fault)
        return value

    @field_validator("assent_base_url", "slack_api_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if value and not _is_origin(value):
            raise _fault("must be http://HOST or https://HOST; only a port and a path may follow")
        return value

    @field_validator("assent_base_url")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value.rstrip("/")) > MAX_BASE_URL:
            raise _fault(f"is longer than {MAX_BASE_URL} characters, which makes the links in mails too long")
        return value

    @field_validator("slack_api_url")
    @classmethod
    def _with_slash(cls, value: str) -> str:
        return value.rstrip("/") + "/"

    @field_validator("assent_smtp_url")
    @classmethod
    def _relay(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            parse_smtp_url(value.get_secret_value() if value else "smtp://localhost")
        except ValueError as error:
            raise _fault(str(error)) from None
        return value

    @field_validator("assent_webhook_secret")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value:
                check_secret(value.get_secret_value())
        except ValueError as error:
            raise _fault(str(error)) from None
        return value

    @field_validator("assent_airflow_url", "assent_prefect_url")
    @classmethod
    def _system(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value:
                orchestrator("", value.get_secret_value(), "", "")
        except ValueError as error:
            raise _fault(str(error)) from None
        return value

    @field_validator("assent_mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        from bot.email.addresses import parse_sender  # noqa: PLC0415 - nor mail

        try:
            parse_sender(value or "assent@example.com")
        except ValueError as error:
            raise _fault(str(error)) from None
        return value

    @field_validator("assent_default_audience")
    @classmethod
    def _selectors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _check_selectors(value)
        return value

    @field_validator("groups")
    @classmethod
    def _members(cls, groups: Mapping[str, tuple[str, ...] | str]) -> Mapping[str, tuple[str, ...] | str]:
        _check_selectors(
            text for members in groups.values() if isinstance(members, tuple) for text in members
        )
        for name, members in groups.items():
            if isinstance(members, str):
                from bot.approvals.audience.groups import computed  # noqa: PLC0415 - few have one, and commands start faster

                try:
                    computed(name, members)
                except ValueError as error:
                    raise _fault(str(error)) from None
        return groups

    @field_validator("policies")
    @classmethod
    def _sound(cls, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        if faults := [fault for policy in policies if (fault := policy_fault(policy))]:
            raise _fault("; ".join(faults))
        return policies

    @field_validator("views", mode="before")
    @classmethod
    def _views(cls, views: Any) -> tuple[View, ...]:
        try:
            return views_of(views)
        except ValueError as error:
            raise _fault(str(error)) from None

    @field_validator("working_hours")
    @classmethod
    def _hours(cls, value: WorkingHours | None) -> WorkingHours | None:
        if value and (fault := hours_fault(value.hours)):
            raise _fault(fault)
        return value

    @property
    def base_url(self) -> str:
        """The public origin, without a slash at its end."""
        return (self.assent_base_url or f"http://{_reached(self.assent_host)}:{self.assent_port}").rstrip("/")

    @property
    def base_path(self) -> str:
        """The path of the public origin (`/assent`), which a proxy takes off; mostly empty."""
        return urlsplit(self.base_url).path.rstrip("/")

    @cached_property
    def smtp(self) -> SmtpConfig | None:
        """The relay, or None where email is off."""
        return parse_smtp_url(self.assent_smtp_url.get_secret_value()) if self.assent_smtp_url else None

    @property
    def data_folder(self) -> Path:
        """Where generated secrets are kept: beside the SQLite file, else the working folder."""
        from bot.store.database.engine import sqlite_file  # noqa: PLC0415 - as above

        file = sqlite_file(self.assent_database_url)
        return file.parent if file else Path.cwd()

    @property
    def secrets(self) -> list[str]:
        """The signing keys, newest first: those that are set, else the one that a server has made, else none."""
        if self.assent_secret_keys:
            return [key.get_secret_value() for key in self.assent_secret_keys]
        kept = self.data_folder / SIGNING_KEY
        return [kept.read_text(encoding="ascii").strip()] if kept.exists() else []


IN_FILE = frozenset({"groups", "policies", "templates", "views", "working_hours"})
"""What `assent.toml` sets; everything else comes from the environment."""


RULES = IN_FILE | {"assent_config", "assent_default_audience", "assent_auto_approve"}
"""What says how requests are ruled on, which the base install can tell."""


def load(environ: Mapping[str, str] | None = None, only: Collection[str] = ()) -> Settings:
    """The settings of `environ` (by default the process's), over `.env`, over `assent.toml`; raises SettingsError.

    With `only`, the others are not looked at.
    """
    values: dict[str, Any] = {k: v for k, v in dotenv_values(".env").items() if v}
    values |= {k: v for k, v in (os.environ if environ is None else environ).items() if v}
    known = {k.lower(): v for k, v in values.items() if k.lower() in Settings.model_fields and k.isupper()}
    known = {name: value for name, value in known.items() if not only or name in only}
    faults = [*_missing(known), *_key_from_file(known)]
    file = _file(known.get("assent_config"), faults)
    known |= {name: file[name] for name in IN_FILE & file.keys()}
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        faults += [_line(e) for e in error.errors(include_url=False)]
    if faults:
        raise SettingsError(faults)
    return settings


OF_CLIENTS = frozenset({"ASSENT_URL", "ASSENT_RETRY_FOR", "ASSENT_AUDIENCE", "ASSENT_WORKFLOWS_URL"})
"""Names that mean something to what asks, and nothing to the server."""


def misspelt(environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Names in the environment and in `.env` that look like a setting and are none, and what may be meant."""
    given = {*dotenv_values(".env"), *(os.environ if environ is None else environ)}
    known = [name.upper() for name in Settings.model_fields if name not in IN_FILE]
    return [
        (name, f"is {meant[0]} meant?")
        for name in sorted(given - set(known) - OF_CLIENTS)
        if (meant := _meant(name, known))
    ]


def _meant(name: str, known: list[str]) -> list[str]:
    """The setting that a name is close to; of a name with another beginning, only where it is very close."""
    ours = name.upper().startswith(("ASSENT_", "SLACK_"))
    return difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85 if ours else 0.9)


def _key_from_file(known: dict[str, Any]) -> list[str]:
    """Put the key that a file holds among the settings; what keeps it from being one."""
    if "assent_api_key_file" not in known:
        return []
    try:
        known["assent_api_key"] = api_key({KEY: known.get(KEY.lower()), KEY_FILE: known[KEY_FILE.lower()]})
    except ValueError as error:
        return [str(error)]
    return []


def _file(named: str | None, faults: list[str]) -> dict[str, Any]:
    path = Path(named or "assent.toml")
    if not path.exists():
        if named:
            faults.append(f"ASSENT_CONFIG: there is no file {named}")
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"ASSENT_CONFIG: {path} cannot be read: {error}")
        return {}
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # a computed group may stand in a module beside the file
    if unknown := set(content) - IN_FILE:
        faults.append(f"ASSENT_CONFIG: {path} has unknown entries: {', '.join(sorted(unknown))}")
    return content


def _line(error: Any) -> str:
    name = str(error["loc"][0])
    label = f"ASSENT_CONFIG: {name}" if name in IN_FILE else name.upper()
    return f"{label}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _missing(known: Collection[str]) -> list[str]:
    """What does not work without another setting."""
    faults = []
    ways = {"slack_signing_secret", "slack_app_token"} & set(known)
    if "slack_bot_token" in known and not ways:
        faults.append(
            "SLACK_SIGNING_SECRET (HTTP mode) or SLACK_APP_TOKEN (Socket Mode) is needed with SLACK_BOT_TOKEN"
        )
    if ways and "slack_bot_token" not in known:
        faults.append("SLACK_BOT_TOKEN is needed with SLACK_SIGNING_SECRET and SLACK_APP_TOKEN")
    if "assent_smtp_url" in known and "assent_mail_from" not in known:
        faults.append("ASSENT_MAIL_FROM is needed with ASSENT_SMTP_URL: the address that mails come from")
    return faults


def _check_selectors(texts: Iterable[str]) -> None:
    faults = []
    for text in texts:
        try:
            parse_selector(text)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise _fault("; ".join(faults))


def _host_fault(host: str) -> str | None:
    """What is wrong with an address to listen on, in words."""
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            return "must be a host name or an address alone, such as 127.0.0.1, :: or ::1; the port is ASSENT_PORT"
    elif not re.fullmatch(r"[A-Za-z0-9._-]+", host):
        return "must be a host name or an address, such as 127.0.0.1, 0.0.0.0 or ::1"
    return None


def _reached(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine, as URLs write it."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104  compared, not bound to
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _is_origin(url: str) -> bool:
    """Whether paths can be joined to `url`: a host, perhaps a port and a path, no query and no fragment."""
    try:
        parts = urlsplit(url)
        return bool(_ORIGIN.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:
        return False


_ORIGIN = re.compile(r"https?://[^\s?#]+")


def is_network(text: str) -> bool:
    """Whether `text` is an address or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def secret_texts(settings: Settings) -> set[str]:
    """All that is secret in the settings, passwords within URLs included, for the log to leave out."""
    kept: set[str] = set()
    for value in (*vars(settings).values(), *settings.assent_secret_keys, settings.assent_database_url):
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(value, SecretStr):
            kept.add(str(text))
        if isinstance(text, str) and "://" in text:
            with contextlib.suppress(ValueError):
                password = urlsplit(text).password or ""
                kept |= {password, unquote(password)}
    return kept


def _fault(message: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{message}", {"message": message})


def stored_secret(folder: Path, name: str, make: Callable[[], str] | None = None) -> tuple[str, bool]:
    """A secret kept in `folder`, made on first use and readable only by its owner; whether it was made just now."""
    path = folder / name
    if not path.exists() and private_files.keep(path, (secret := (make or _random)()) + "\n"):
        return secret, True
    private_files.tighten(path)
    return path.read_text(encoding="ascii").strip(), False


def stored_webhook_secret(folder: Path, name: str) -> tuple[str, bool]:
    """The secret kept in `folder` that signs callbacks, as receivers take it (`whsec_…`); likewise.

    What earlier versions kept as hex digits is written anew in that form: the same bytes, which sign as before. Raises
    `Unavailable` for a file that holds anything else.
    """
    secret, new = stored_secret(folder, name, lambda: secret_from(_random()))
    if _HEX.fullmatch(secret):
        secret = secret_from(secret)
        private_files.replace(folder / name, secret + "\n")
    try:
        check_secret(secret)
    except ValueError as error:
        raise Unavailable(f"{folder / name}: {error}") from None
    return secret, new


def _random() -> str:
    return secrets.token_hex(32)


_HEX = re.compile(r"[0-9a-f]{64}")
