"""Environment, `.env` and `assent.toml` → one frozen object; every fault is reported at once.

The names, meanings and defaults are those of the README's table of settings.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

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
from yarl import URL

from bot.delivery.signing import check_secret
from bot.domain.audience import parse_selector
from bot.domain.hours import hours_fault
from bot.domain.policy import Policy, policy_fault
from bot.domain.spec import Hours
from bot.domain.visibility import Visibility
from bot.email.addresses import parse_sender
from bot.email.config import SmtpConfig, parse_smtp_url
from bot.links import MAX_BASE_URL
from bot.store.engine import database_url, sqlite_file

MIN_KEY_LENGTH = 32
"""Characters of a signing key; 128 bits as hex digits."""

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
    assent_config: Path | None = None
    groups: Mapping[str, tuple[str, ...] | str] = {}
    working_hours: WorkingHours | None = None
    policies: tuple[Policy, ...] = ()
    templates: Path | None = None

    @field_validator("assent_secret_keys", "assent_default_audience", mode="before")
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

    @field_validator("assent_database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        try:
            database_url(value)
        except ValueError as error:
            raise _fault(str(error)) from None
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
        if value and not value.get_secret_value().startswith(("http://", "https://")):
            raise _fault("must begin with http:// or https://")
        return value

    @field_validator("assent_mail_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
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
                from bot.approvals.groups import computed  # noqa: PLC0415 - few have one, and commands start faster

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

    @field_validator("working_hours")
    @classmethod
    def _hours(cls, value: WorkingHours | None) -> WorkingHours | None:
        if value and (fault := hours_fault(value.hours)):
            raise _fault(fault)
        return value

    @property
    def base_url(self) -> str:
        """The public origin, without a slash at its end."""
        return (self.assent_base_url or f"http://{self.assent_host}:{self.assent_port}").rstrip("/")

    @cached_property
    def smtp(self) -> SmtpConfig | None:
        """The relay, or None where email is off."""
        return parse_smtp_url(self.assent_smtp_url.get_secret_value()) if self.assent_smtp_url else None

    @property
    def data_folder(self) -> Path:
        """Where generated secrets are kept: beside the SQLite file, else the working folder."""
        file = sqlite_file(self.assent_database_url)
        return file.parent if file else Path.cwd()


IN_FILE = frozenset({"groups", "policies", "templates", "working_hours"})
"""What `assent.toml` sets; everything else comes from the environment."""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of `environ` (by default the process's), over `.env`, over `assent.toml`; raises SettingsError."""
    values: dict[str, Any] = {k: v for k, v in dotenv_values(".env").items() if v}
    values |= {k: v for k, v in (os.environ if environ is None else environ).items() if v}
    known = {k.lower(): v for k, v in values.items() if k.lower() in Settings.model_fields and k.isupper()}
    faults = _missing(known)
    file = _file(known.get("assent_config"), faults)
    known |= {name: file[name] for name in IN_FILE & file.keys()}
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        faults += [_line(e) for e in error.errors(include_url=False)]
    if faults:
        raise SettingsError(faults)
    return settings


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


def _is_origin(url: str) -> bool:
    """Whether paths can be joined to `url`: a host, perhaps a port and a path, no query and no fragment."""
    try:
        return bool(_ORIGIN.fullmatch(url) and URL(url).raw_host)
    except ValueError:
        return False


_ORIGIN = re.compile(r"https?://[^\s?#]+")


def _fault(message: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{message}", {"message": message})


def stored_secret(folder: Path, name: str) -> tuple[str, bool]:
    """A secret kept in `folder`, made on first use and readable only by its owner; whether it was made just now."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip(), False
    secret = secrets.token_hex(32)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    return secret, True
