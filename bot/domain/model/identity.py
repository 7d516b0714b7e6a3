"""Who is one person, however their address is written.

A *key* names a person: `email:ana@example.com` or `slack:U…`. Two addresses belong to one person where their
*canonical* forms are equal:

- letters of any width, form and case (NFKC and case folding), invisible characters left out;
- the domain in its ASCII form (IDNA 2008 with the mapping of UTS 46), without a dot at its end;
- what follows a `+` in the local part left out, as it only sorts mail;
- for Gmail, which documents it, the local part without dots, and `googlemail.com` as `gmail.com`.

Mail goes to the address as it was written; the canonical form only tells whether somebody is meant twice. Where it
takes two people for one, one of them has no say: that is the safe side. Two addresses that nothing links, or an
address and a Slack account whose email Slack does not confirm, are two people here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import idna

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DOMAIN = r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)+"
EMAIL = re.compile(rf"[^\s@<>(),:;\"\\\[\]\x00-\x1f\x7f]{{1,64}}@(?=.{{1,255}}$){_DOMAIN}")
"""A mailbox as people write it: RFC 5321's dot-string and a dotted domain, no quoting, no address literals."""

_IN_TEXT = re.compile(r"[^\s@<>(),:;\"\\\[\]\x00-\x1f\x7f]{1,64}@[\w.-]{1,255}")
"""What may be a mailbox within other words."""

_QUOTED = re.compile(r"\"([^\"\s@]{1,64})\"(?=@)")
"""A quoted local part that needs no quotes (RFC 5321 §4.1.2)."""

_SLACK_USER = re.compile(
    r"(?:slack:|<@)([UW][A-Z0-9]{1,40})(?![\w.+@-])|(?<![A-Za-z0-9])([UW](?=[A-Z]*[0-9])[A-Z0-9]{8,40})(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""A Slack user's id within other words: as a selector, as a mention, or alone."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""What Unicode calls ignorable by default: it takes no place on the screen."""

DOTLESS = frozenset({"gmail.com", "googlemail.com"})
"""Domains in whose local parts a dot makes no difference."""

MAX_NAMED = 10
"""Most people that the text of one requester may name."""


def mailbox(text: str) -> str:
    """An address in the form in which it is kept and mailed to; raises `ValueError` with how to write it.

    Lower case and NFC, the domain in its own script and without a dot at its end. Tags and dots stay.
    """
    address = unicodedata.normalize("NFC", text).removesuffix(".")
    if not EMAIL.fullmatch(address) or _INVISIBLE.search(address):
        raise ValueError(f"{text[:80]!r} is no email address; write NAME@HOST, for example ana@example.com")
    lowered = address.lower()
    if lowered.isascii() and "xn--" not in lowered:
        return lowered
    local, _, domain = lowered.rpartition("@")
    return f"{local}@{_readable(domain)}"


@lru_cache(maxsize=16384)
def canonical(address: str) -> str:
    """What is the same for every spelling of one person's address; text that is no address stays as it is."""
    if not address.isascii():
        address = unicodedata.normalize("NFKC", _INVISIBLE.sub("", address))
    local, at, domain = address.strip().rpartition("@")
    if not at:
        return address
    local, domain = _folded(local.strip('"')), _ascii(domain.rstrip("."))
    local = local.partition("+")[0] or local
    if domain in DOTLESS:
        local, domain = local.replace(".", "") or local, "gmail.com"
    return f"{local}@{domain}"


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text.casefold())


@lru_cache(maxsize=4096)
def _ascii(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return _folded(domain)


def _readable(domain: str) -> str:
    try:
        return idna.decode(_ascii(domain))
    except (idna.IDNAError, UnicodeError):
        return domain


@lru_cache(maxsize=16384)
def email_keys(address: str) -> frozenset[str]:
    """The keys of whoever has this address: the canonical one, and the one that says it as it is kept."""
    return frozenset({f"email:{canonical(address)}", f"email:{address.lower()}"})


@lru_cache(maxsize=16384)
def person_keys(keys: frozenset[str]) -> frozenset[str]:
    """Keys that somebody is known by, however they are spelt, and the canonical ones of their addresses."""
    addresses = [key.removeprefix("email:") for key in keys if key.startswith("email:")]
    return keys.union(*map(email_keys, addresses))


def same_mailbox(one: str, other: str) -> bool:
    """Whether two addresses belong to one person."""
    return canonical(one) == canonical(other)


class Named(NamedTuple):
    """The people that a text names: their addresses as they are kept, and their Slack ids."""

    emails: tuple[str, ...]
    slack_users: tuple[str, ...]

    @property
    def keys(self) -> frozenset[str]:
        """Every key of theirs."""
        users = frozenset(f"slack:{user}" for user in self.slack_users)
        return users.union(*map(email_keys, self.emails))


def named(text: str) -> Named:
    """Everybody whose address or Slack id stands in a text: `Bob <bob@example.com> via CI`, `mailto:…`, `"bob"@…`.

    Rather one person too many than one too few: it tells who may not decide.
    """
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).replace("\u3002", ".")
    found: dict[str, None] = {}
    for reading in dict.fromkeys((plain, unquote(plain), _QUOTED.sub(r"\1", plain))):
        for match in _IN_TEXT.finditer(reading):
            found.update(dict.fromkeys(_readings(match[0])))
    users = (a or b for a, b in _SLACK_USER.findall(plain))
    return Named(tuple(found), tuple(dict.fromkeys(user.upper() for user in users)))


def _readings(text: str) -> Iterator[str]:
    """The addresses that words with an @ may be meant to be: `run=bob@…` is also bob's, `'bob@…'` too."""
    local, _, domain = text.rpartition("@")
    domain = domain.strip("._-")
    bare = local.strip(_MARKS)
    parts = (local, bare, re.split(r"[=/|&?!#*{}~`^$%]", bare)[-1])
    yield from _mailboxes(f"{part}@{domain}" for part in dict.fromkeys(parts))


_MARKS = "'`‘’‚“”„«»‹›*_~.-|/="


def _mailboxes(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        try:
            yield mailbox(text)
        except ValueError:
            continue
