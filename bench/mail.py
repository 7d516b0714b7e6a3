"""Mails a second over one relay: Assent beside bare reused connections: `python -m bench.mail`.

The relay takes every mail `--answer-ms` after its text. Assent composes a mail a respondent and keeps its outbox; the
bare sender, with as many connections, sends the same bytes again and again with aiosmtplib. Rates are per connection.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiosmtplib
import orjson
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.idle import call_all
from bench.load import SUBMIT
from bench.servers import API_KEY, ROOT, assent

CONNECTIONS = 3
"""As many as Assent's mailer opens."""


class Relay:
    """Takes every mail, and remembers when each came and what the last one was."""

    def __init__(self, answer_seconds: float) -> None:
        self.came: list[float] = []
        self.last = b""
        self._answer_seconds = answer_seconds

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take one mail."""
        await asyncio.sleep(self._answer_seconds)
        self.came.append(time.perf_counter())
        self.last = envelope.original_content or b""
        return "250 taken"

    async def rate(self, count: int) -> float:
        """Mails a second and connection, from now until the `count`th has come."""
        began, before = time.perf_counter(), len(self.came)
        while len(self.came) < count:  # noqa: ASYNC110 - a measurement, which may look now and then
            await asyncio.sleep(0.01)
        return (count - before) / (self.came[count - 1] - began) / CONNECTIONS


async def bare(port: int, mail: bytes, count: int) -> None:
    """Send `mail` so many times over connections that stay open."""

    async def send() -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for _ in range(count // CONNECTIONS):
                await client.sendmail("assent@example.com", ["ana@example.com"], mail)

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))


async def measure(count: int, answer_seconds: float) -> None:
    """Print both rates."""
    relay = Relay(answer_seconds)
    listening = await asyncio.get_running_loop().create_server(lambda: SMTP(relay), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="assent-bench-") as name:
        folder = Path(name)
        mails = {
            "ASSENT_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=none",
            "ASSENT_MAIL_FROM": "assent@example.com",
        }
        with assent(folder, f"sqlite:///{folder / 'assent.db'}", **mails) as server:
            asked = [{**orjson.loads(SUBMIT), "audience": [f"email:p{n}@example.com"]} for n in range(count)]
            await call_all(server.url, [("/v1/requests", orjson.dumps(body)) for body in asked])
            ours = await relay.rate(count)
        mail = folder / "mail"
        mail.write_bytes(relay.last)
        relay.came.clear()
        command = [sys.executable, "-m", "bench.mail", "--bare", str(port), str(mail), "--count", str(count)]
        sender = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        if await sender.wait():
            raise SystemExit("the bare sender failed")
        limit = (len(relay.came) - 1) / (relay.came[-1] - relay.came[0]) / CONNECTIONS
    print(
        f"relay that answers in {answer_seconds * 1000:g} ms, {len(relay.last)} bytes a mail, {CONNECTIONS} connections"
        f"\nbare {limit:.0f}, Assent {ours:.0f} mails/s and connection: × {ours / limit:.2f}"
    )


def main() -> None:
    """Measure, or be the bare sender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="mails (default 600)")
    parser.add_argument("--answer-ms", type=float, default=20, help="the relay's time for one (default 20)")
    parser.add_argument("--bare", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["ASSENT_API_KEY"] = API_KEY
    if options.bare:
        port, file = options.bare
        uvloop.run(bare(int(port), Path(file).read_bytes(), options.count))
    else:
        uvloop.run(measure(options.count, options.answer_ms / 1000))


if __name__ == "__main__":
    main()
