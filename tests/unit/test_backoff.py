"""When to try again, when to give up, and what to leave alone meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.delivery.backoff import BREAKER, DELAYS, GIVE_UP, JITTER, Breakers, delay, exhausted
from tests.support.asking import NOW


@pytest.mark.parametrize("surface", DELAYS)
def test_each_failure_waits_longer_and_never_less_than_it_should(surface: str) -> None:
    for attempts, least in enumerate(DELAYS[surface], start=1):
        assert least <= delay(surface, attempts) <= least * (1 + JITTER)
    longest = DELAYS[surface][-1]
    assert longest <= delay(surface, 1000) <= longest * (1 + JITTER)


@pytest.mark.parametrize("surface", DELAYS)
def test_it_is_given_up_when_the_time_for_it_is_used_up(surface: str) -> None:
    tries = next(n for n in range(1, 1000) if exhausted(surface, n))
    waited = sum(DELAYS[surface][min(n, len(DELAYS[surface]) - 1)] for n in range(tries - 1))
    assert waited <= GIVE_UP[surface].total_seconds() < waited + DELAYS[surface][-1] + 1
    assert not exhausted(surface, tries - 1)


def test_three_callbacks_are_tried_in_the_first_forty_seconds() -> None:
    first, second = DELAYS["callback"][:2]
    assert (first + second) * (1 + JITTER) < 40


class TestBreakers:
    def test_a_target_is_left_alone_longer_each_time_it_fails(self) -> None:
        breakers, now = Breakers(), NOW
        for seconds in (*BREAKER, BREAKER[-1]):
            until = breakers.trip("email", now, None)
            assert until == now + timedelta(seconds=seconds)
            assert breakers.open_until("email", until - timedelta(milliseconds=1)) == until
            assert breakers.open_until("email", until) is None
            now = until

    def test_sendings_that_fail_together_count_once(self) -> None:
        breakers = Breakers()
        first = [breakers.trip("email", NOW, None) for _ in range(50)]
        assert set(first) == {NOW + timedelta(seconds=BREAKER[0])}
        assert breakers.trip("email", first[0], None) == first[0] + timedelta(seconds=BREAKER[1])

    def test_a_target_that_says_how_long_is_believed(self) -> None:
        breakers = Breakers()
        assert breakers.trip("U1", NOW, 30) == NOW + timedelta(seconds=30)
        assert breakers.trip("U1", NOW, 5) == NOW + timedelta(seconds=30)
        assert breakers.open_until("U2", NOW) is None

    def test_a_clock_that_is_set_back_ends_it(self) -> None:
        breakers = Breakers()
        breakers.trip("U1", NOW, 30)
        assert breakers.open_until("U1", NOW - timedelta(hours=1)) is None

    def test_who_was_down_when_last_tried_is_known(self) -> None:
        breakers = Breakers()
        until = breakers.trip("email", NOW, None)
        breakers.trip("U1", NOW, 30)
        assert breakers.open_until("email", until) is None
        assert [breakers.failed(target) for target in ("email", "U1")] == [True, False]
        breakers.reset("email")
        assert not breakers.failed("email")

    def test_a_success_forgets_the_failures(self) -> None:
        breakers = Breakers()
        until = breakers.trip("email", NOW, None)
        breakers.trip("email", until, None)
        breakers.reset("email")
        assert breakers.open_until("email", until) is None
        assert breakers.trip("email", until, None) == until + timedelta(seconds=BREAKER[0])
