"""The secrets that sign callbacks, as Standard Webhooks wants them."""

from __future__ import annotations

import base64
import binascii

MIN_SECRET, MAX_SECRET = 24, 64
"""Bytes of a signing secret (Standard Webhooks, "Signature scheme")."""

PREFIX = "whsec_"


def secret_from(stored: str) -> str:
    """A signing secret (`whsec_…`) out of 32 random bytes kept as hex digits."""
    return PREFIX + base64.b64encode(bytes.fromhex(stored)).decode()


def check_secret(secret: str) -> None:
    """Raise `ValueError`, which never shows the secret, unless this is one that Standard Webhooks allows."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not MIN_SECRET <= len(key) <= MAX_SECRET:
        raise ValueError(
            f"must be {PREFIX} and the base64 of {MIN_SECRET} to {MAX_SECRET} random bytes; "
            f'make one with: echo "{PREFIX}$(openssl rand -base64 32)"'
        )
