"""Time zones as profiles have them, and which way leads to Slack."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.model.hours import working
from bot.domain.model.spec import Hours
from bot.domain.model.zones import named, of_profile
from bot.rendering import zone
from bot.settings import SettingsError, load
from bot.slack.api.proxies import proxy_for

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "offset", "expected"),
    [
        ("Europe/Berlin", 3600, "Europe/Berlin"),
        ("Mars/Phobos", 3600, "UTC+01:00"),
        ("Mars/Phobos", 19800, "UTC+05:30"),
        ("Mars/Phobos", -12600, "UTC-03:30"),
        ("../../etc/passwd", 0, "UTC+00:00"),
        ("Mars/Phobos", None, None),
        ("Mars/Phobos", "x", None),
        ("Mars/Phobos", 10**9, None),
        (None, None, None),
        (7, None, None),
    ],
)
def test_a_profile_s_zone_or_its_offset(name: object, offset: object, expected: str | None) -> None:
    assert of_profile(name, offset) == expected
    assert expected is None or named(expected) is not None


@pytest.mark.parametrize("name", ["Mars/Phobos", "/etc/localtime", "UTC+99:99", "\0", "", None])
def test_what_is_no_zone_stops_nothing(name: str | None) -> None:
    assert zone(name) is UTC
    assert working(Hours(days=(0, 1, 2, 3, 4), start="09:00", end="17:00", zone="UTC"), AT, name) == AT


def test_an_offset_is_a_zone_everywhere() -> None:
    assert AT.astimezone(zone("UTC+05:30")).utcoffset() == timedelta(hours=5.5)


@pytest.fixture
def _way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://me:pw@proxy:3128")
    monkeypatch.setenv("no_proxy", ".intern.example,127.0.0.1")


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("https://slack.com/api/", True),
        ("wss://wss-primary.slack.com/link", True),
        ("ws://slack.com/link", False),
        ("https://slack.intern.example/api/", False),
        ("https://127.0.0.1:8443/api/", False),
    ],
)
def test_the_proxy_of_the_environment(url: str, through: bool) -> None:  # noqa: FBT001
    assert proxy_for(url) == ("http://me:pw@proxy:3128" if through else None)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("fe80::2", "http://[fe80::2]:8080"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_the_base_url_of_an_address(host: str, url: str) -> None:
    assert load({"ASSENT_HOST": host}).base_url == url


@pytest.mark.parametrize("host", ["http://x", "[::1]", "a b", "1:2", "host:80", "x/y"])
def test_what_is_no_address_to_listen_on(host: str) -> None:
    with pytest.raises(SettingsError, match="ASSENT_HOST"):
        load({"ASSENT_HOST": host})
