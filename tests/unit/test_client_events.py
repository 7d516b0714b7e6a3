"""What a stream of events asks for, and what it makes of the bytes, without a socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import ApiError, Unreachable
from bot.client.transport.events import Following
from bot.client.transport.protocol import HttpResponse, Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDED = Lost(url="http://assent", reason="the stream ended", sent=True)
REFUSED = Lost(url="http://assent", reason="connection refused", sent=False)


def sent(number: int, **members: Any) -> bytes:
    event = {
        "id": number,
        "type": "request.created",
        "request_id": "req_1",
        "status": "pending",
        "version": number,
        "at": "2026-11-21T08:00:00.000Z",
        **members,
    }
    return f"id: {number}\nevent: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def resumed(following: Following) -> str | None:
    return following.call().headers.get("Last-Event-ID")


def read(following: Following, *parts: bytes | HttpResponse | Lost) -> Iterator[int]:
    for part in parts:
        for event in following.take(part):
            yield event.id


def test_events_arrive_in_any_pieces() -> None:
    whole = b": alive\r\n\nretry: 2000\nid: 6\n\n" + sent(7, data={"title": "Ana\u2028\x85 é"}) + sent(8)
    for size in (1, 3, 7, len(whole)):
        following = Following("/v1/events")
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        events = [event for piece in pieces for event in following.take(piece)]
        assert [event.id for event in events] == [7, 8]
        assert events[0].data == {"title": "Ana\u2028\x85 é"}
        assert (events[0].at.year, events[0].type) == (2026, "request.created")


def test_a_lost_stream_goes_on_after_what_was_seen() -> None:
    following = Following("/v1/events")
    assert resumed(following) is None
    assert list(read(following, b"id: 6\n\n")) == []
    assert resumed(following) == "6"
    assert list(read(following, sent(7), sent(8)[:-1], ENDED)) == [7]
    assert resumed(following) == "7"
    assert list(read(following, sent(8), sent(9))) == [8, 9]


def test_a_stream_may_begin_after_a_known_event() -> None:
    assert resumed(Following("/v1/events", 41)) == "41"


def test_a_server_that_is_away_is_asked_again_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    following, delays = Following("/v1/events"), []
    for trouble in [ENDED, REFUSED, HttpResponse(url="", status=503, content=b""), REFUSED]:
        assert list(following.take(trouble)) == []
        delays.append(following.call().delay)
    assert delays == sorted(delays)
    assert 0 < delays[0] < delays[-1] <= 10
    assert "Assent does not answer" in caplog.text
    assert list(read(following, sent(1))) == [1]
    assert following.call().delay == 0


def test_it_ends_where_nothing_more_will_come_and_raises_where_it_is_refused() -> None:
    following = Following("/v1/requests/req_1/events")
    assert not following.done
    assert list(following.take(HttpResponse(url="", status=204, content=b""))) == []
    assert following.done
    with pytest.raises(ApiError, match="not known"):
        list(following.take(HttpResponse(url="", status=401, content=b'{"detail": "The key is not known"}')))
    for content in (b"{}", b"<html>hello"):
        with pytest.raises(Unreachable, match="not "):
            list(following.take(HttpResponse(url="", status=200, content=content)))
