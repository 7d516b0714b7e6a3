"""Ports for servers that are named before they listen, so that nothing else may take them in between."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

# Below what the system gives to outgoing connections (32768 and up on Linux), and a range for each worker of pytest.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
_FIRST = 20_000 + 1_000 * _WORKER
_STEPS = itertools.count(os.getpid())  # another run of the tests is at another place


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and that nobody else here is given for a long while."""
    while True:
        port = _FIRST + next(_STEPS) % 1_000
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
