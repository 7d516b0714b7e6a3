"""The seal of the audit chain's head: an HMAC with the secret keys, which are not in the database.

Every hash of the chain can be worked out by whoever may write to the database; the seal cannot. Only the newest one is
stored (`chain.seal`), so that a trail that was cut short has none for its new end. It is also what `assent audit head`
prints: seven parts and the HMAC over them, joined by dots.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

log = structlog.get_logger(__name__)

GENESIS = "0" * 64
"""What the first event of the chain is hashed with."""

PURPOSE = b"assent audit head 1"
"""What sets the derived keys apart from everything else made of the same secrets."""

SHAPE = re.compile(
    r"h1\.([0-9a-f]{8})\.(0|[1-9]\d{0,17})\.([0-9a-f]{64})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(-|0|[1-9]\d{0,17})\.([0-9a-f]{64})"
)


class SealError(ValueError):
    """A seal that proves nothing; the message says why."""


class UnknownKeyError(SealError):
    """A seal of a key that is not among ours: it may well be genuine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain: the number and the hash of its last event, and what its seals can speak for.

    `loose` events, the last of them `last_loose`, were written by programs without the keys, or before there were
    seals: only the chain of hashes speaks for them. `broken`: where a seal did not hold first.
    """

    seq: int = 0
    hash: str = GENESIS
    loose: int = 0
    last_loose: int = 0
    broken: int | None = None
    key: str = ""

    def loosely(self, seq: int, digest: str) -> Head:
        """The end of a chain that went on to there without the keys."""
        if seq == self.seq:
            return self
        return replace(self, seq=seq, hash=digest, loose=self.loose + seq - self.seq, last_loose=seq)


class Seals:
    """Makes and reads seals. `secrets` are the signing keys, newest first: the newest seals, all of them verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        derived = [hmac.digest(secret.encode(), PURPOSE, hashlib.sha256) for secret in secrets]
        self._keys = {hmac.digest(key, b"id", hashlib.sha256).hex()[:8]: key for key in derived}
        self.newest = next(iter(self._keys), "")
        """The id of the key that seals."""

    def seal(self, head: Head) -> str:
        """The seal of a head, by the newest key."""
        broken = "-" if head.broken is None else head.broken
        text = f"h1.{self.newest}.{head.seq}.{head.hash}.{head.loose}.{head.last_loose}.{broken}"
        return f"{text}.{self._mac(self.newest, text)}"

    def read(self, seal: str) -> Head:
        """The head that was sealed; raises `SealError` for anything that none of the keys has sealed."""
        found = SHAPE.fullmatch(seal)
        if found is None:
            raise SealError(
                "this is no sealed head: it has another form than what `assent audit head` prints"
            )
        key, seq, hashed, loose, last, broken, mac = found.groups()
        if key not in self._keys:
            raise UnknownKeyError(
                f"it was sealed with the key {key}, which is not among the secret keys here"
            )
        if not hmac.compare_digest(mac, self._mac(key, seal.rpartition(".")[0])):
            raise SealError("its seal is forged: it was not made with the secret keys")
        return Head(
            seq=int(seq),
            hash=hashed,
            loose=int(loose),
            last_loose=int(last),
            broken=None if broken == "-" else int(broken),
            key=key,
        )

    def _mac(self, key: str, text: str) -> str:
        return hmac.digest(self._keys[key], text.encode(), hashlib.sha256).hex()


HashAt = Callable[[int], str | None]
"""Looks up the hash of the event of that number."""


def standing(seals: Seals, seq: int, digest: str, seal: str | None, hash_at: HashAt) -> Head:
    """The head of a stored chain that ends with event `seq`, by its stored seal; raises `SealError` where it is not."""
    head = seals.read(seal) if seal else Head()
    if head.seq > seq:
        raise SealError(
            f"it is sealed up to event {head.seq}, and ends with event {seq}: events after {seq} are missing"
        )
    sealed = digest if head.seq == seq else hash_at(head.seq) if head.seq else GENESIS
    if sealed != head.hash:
        raise SealError(f"event {head.seq} is not the one that was sealed: the trail was written anew")
    return head.loosely(seq, digest)


class Sealer:
    """Seals what one writer appends; it remembers what it has seen, so that an honest row costs one HMAC."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._seen: tuple[str | None, Head] = (None, Head())
        self._highest = 0
        self._said = ""

    def follow(self, seq: int, digest: str, seal: str | None, hash_at: HashAt) -> Head | None:
        """The head that a row of `chain` stands for; None where a key that is not ours has sealed it.

        One whose seal does not hold is told, and marked as broken.
        """
        try:
            head = self._standing(seq, digest, seal, hash_at)
        except UnknownKeyError as error:
            self.complain(error)
            return None
        except SealError as error:
            self.complain(error)
            return Head(seq=seq, hash=digest, loose=seq, last_loose=seq, broken=seq)
        self._highest = seq
        return head

    def _standing(self, seq: int, digest: str, seal: str | None, hash_at: HashAt) -> Head:
        known, head = self._seen
        if seal != known or (seq, digest) != (head.seq, head.hash):
            head = standing(self._seals, seq, digest, seal, hash_at)
        if seq < self._highest and head.broken is None:
            raise SealError(f"it ended with event {self._highest} before, and now ends with event {seq}")
        return head

    def seal(self, head: Head) -> str:
        """The seal of what comes next."""
        sealed = self._seals.seal(head)
        self._seen = sealed, replace(head, key=self._seals.newest)
        return sealed

    def complain(self, error: SealError) -> None:
        """Tell in the log what is wrong with the stored seal, once."""
        if (why := str(error)) != self._said:
            self._said = why
            log.error(
                "the seal of the audit trail does not hold; every process needs the same ASSENT_SECRET_KEYS, "
                "an earlier key behind the new one; see `assent audit verify`",
                action="audit.seal",
                why=why,
            )
