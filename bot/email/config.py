"""`ASSENT_SMTP_URL`: which relay, and how."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Tls = Literal["starttls", "implicit", "none"]

_ADVICE = (
    "write smtp://user:password@mail.example.com:587?tls=starttls, "
    "with : / ? # [ ] @ in the password percent-encoded (/ is %2F)"
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_DEFAULT_PORT = {"starttls": 587, "implicit": 465, "none": 25}


class SmtpUrlError(ValueError):
    """`ASSENT_SMTP_URL` cannot be used; the message says why, and never holds the password."""


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """A relay. With `starttls` a relay that has none is not used. `cafile` is a PEM file of further roots."""

    host: str
    port: int
    tls: Tls
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    cafile: Path | None = None

    def __str__(self) -> str:
        how = {"starttls": "STARTTLS", "implicit": "TLS", "none": "not encrypted"}[self.tls]
        return f"{self.host}:{self.port} ({how}{', AUTH' if self.username else ''})"


def parse_smtp_url(url: str) -> SmtpConfig:
    """Read `smtp://user:password@host:port?tls=starttls|implicit|none&cafile=PATH`.

    User name and password are percent-encoded. Without `tls`, port 465 means `implicit`, a relay on this
    machine `none`, and everything else `starttls`. Without a port: 587, 465 or 25, by `tls`.
    Raises SmtpUrlError.
    """
    parts, port = _split(url)
    query = _query(parts.query)
    host = cast("str", parts.hostname)
    tls = query.get("tls") or _default_tls(host, port)
    if tls not in get_args(Tls):
        raise SmtpUrlError(f"tls={tls} is not known: use starttls, implicit or none")
    username, password = _credentials(parts)
    return SmtpConfig(
        host=host,
        port=port or _DEFAULT_PORT[tls],
        tls=cast("Tls", tls),
        username=username,
        password=password,
        cafile=_cafile(query.get("cafile")),
    )


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise SmtpUrlError(f"its host or port cannot be read: {_ADVICE}") from None
    if parts.scheme == "smtps":
        raise SmtpUrlError("use smtp://…?tls=implicit instead of smtps://")
    if parts.scheme != "smtp" or not parts.hostname:
        raise SmtpUrlError(_ADVICE)
    if parts.path.strip("/") or parts.fragment:
        raise SmtpUrlError(f"it has a path or a fragment: {_ADVICE}")
    return parts, port


def _query(text: str) -> dict[str, str]:
    query = dict(parse_qsl(text, keep_blank_values=True))
    if unknown := set(query) - {"tls", "cafile"}:
        raise SmtpUrlError(f"unknown option {', '.join(sorted(unknown))}: there are tls and cafile")
    return query


def _default_tls(host: str, port: int | None) -> Tls:
    if port == _DEFAULT_PORT["implicit"]:
        return "implicit"
    if host in _LOOPBACK and port != _DEFAULT_PORT["starttls"]:
        return "none"
    return "starttls"


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    if not parts.username:
        return None, None
    if parts.password is None:
        raise SmtpUrlError("it has a user name but no password")
    return unquote(parts.username), unquote(parts.password)


def _cafile(path: str | None) -> Path | None:
    if path is None:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise SmtpUrlError(f"cafile={path} is no PEM file of certificates") from None
    except OSError as error:
        raise SmtpUrlError(f"cafile={path} cannot be read: {error.strerror}") from None
    return Path(path)
