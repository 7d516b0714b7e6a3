"""Email addresses as they go into an envelope and a header.

What a library takes for an address may hold a line break and a second SMTP command: aiosmtplib reads
`a@x CR LF RCPT TO:<evil@x>` as `a@x`. So the envelope takes only what passes here.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import idna

_MAX_LOCAL, _MAX_ADDRESS = 64, 254
"""Octets; RFC 5321 §4.5.3.1, and its erratum 1690 for the whole address."""

_DOT_ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+", re.IGNORECASE)


class AddressError(ValueError):
    """The text is no address that can be mailed to; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address ready for the envelope: `domain` in its ASCII form."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a relay with SMTPUTF8 (RFC 6531) can carry it."""
        return not self.local.isascii()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails come from: a display name, possibly empty, and an address."""

    name: str
    address: Address


def parse_address(text: str) -> Address:
    """Read `local@domain`, of any script (RFC 5322 dot-atom, RFC 6531, IDNA 2008).

    Quoted local parts and `[…]` domains are refused, as people do not have them. Raises AddressError.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    if not at or not local or not domain:
        raise AddressError(f"{text!r} is no email address: it should look like ana@example.com")
    if not all(_DOT_ATOM.fullmatch(atom) for atom in local.split(".")) or _has_controls(local):
        raise AddressError(f"{text!r} has characters before the @ that an address cannot have")
    address = Address(unicodedata.normalize("NFC", local), _ascii_domain(text, domain))
    if len(address.local.encode()) > _MAX_LOCAL or len(str(address).encode()) > _MAX_ADDRESS:
        raise AddressError(
            f"{text[:40]!r}… is longer than {_MAX_LOCAL} octets before the @ or {_MAX_ADDRESS} in all"
        )
    return address


def parse_sender(text: str) -> Sender:
    """Read `ana@example.com` or `Ana Lopez <ana@example.com>`, as in `ASSENT_MAIL_FROM`.

    The address itself must be ASCII before the @, so that every relay carries it. Raises AddressError.
    """
    if _has_controls(text):
        raise AddressError(f"{text!r} has control characters in it")
    named = re.fullmatch(r"\s*(?P<name>[^<>]*?)\s*<(?P<address>[^<>]*)>\s*", text)
    name = named["name"].strip('"') if named else ""
    address = parse_address(named["address"] if named else text)
    if address.needs_smtputf8:
        raise AddressError(f"{text!r}: a sender must be ASCII before the @")
    return Sender(name, address)


def _ascii_domain(text: str, domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise AddressError(f"{text!r} has no valid domain after the @: {error}") from None


def _has_controls(text: str) -> bool:
    return any(char != " " and unicodedata.category(char)[0] in "CZ" for char in text)
