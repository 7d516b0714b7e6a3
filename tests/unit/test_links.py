"""Personal links: one a respondent, unforgeable, dead when they must be."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock_and_ids import RandomIds
from bot.links import MAX_BASE_URL, Links

RESPONDENT = "rsp_abcdefghijkl2"
OLD, NEW = "o" * 32, "n" * 32
LINKS = Links("https://assent.example.com", [NEW])
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_link_is_short_and_names_its_respondent_only() -> None:
    url = LINKS.url(RESPONDENT, 0)
    assert re.fullmatch(r"https://assent\.example\.com/r/[a-z2-7]{39}", url)
    token = url.rpartition("/")[2]
    assert LINKS.respondent_id(token) == RESPONDENT
    assert LINKS.verify(token, RESPONDENT, 0)


def test_the_longest_link_has_120_characters() -> None:
    base = "https://" + "a" * (MAX_BASE_URL - len("https://"))
    assert len(Links(base, [NEW]).url(RESPONDENT, 10**9)) == 120


def test_a_slash_at_the_end_of_the_base_makes_no_difference() -> None:
    assert Links("https://a.example/", [NEW]).url(RESPONDENT, 0) == Links("https://a.example", [NEW]).url(
        RESPONDENT, 0
    )


@pytest.mark.thorough
@given(st.integers(0, 38).flatmap(lambda i: st.tuples(st.just(i), st.sampled_from(ALPHABET))))
def test_no_character_can_be_altered(change: tuple[int, str]) -> None:
    place, letter = change
    token = LINKS.token(RESPONDENT, 0)
    altered = token[:place] + letter + token[place + 1 :]
    respondent = LINKS.respondent_id(altered)
    assert respondent
    assert LINKS.verify(altered, respondent, 0) is (altered == token)


@pytest.mark.parametrize("last", [c for c in ALPHABET if c != LINKS.token(RESPONDENT, 0)[-1]])
def test_not_even_the_unused_bits_of_the_last_one(last: str) -> None:
    assert not LINKS.verify(LINKS.token(RESPONDENT, 0)[:-1] + last, RESPONDENT, 0)


def test_upper_case_is_folded() -> None:
    token = LINKS.token(RESPONDENT, 0).upper()
    assert LINKS.respondent_id(token) == RESPONDENT
    assert LINKS.verify(token, RESPONDENT, 0)


@pytest.mark.parametrize(
    "text", ["", "a" * 38, "a" * 40, "a" * 38 + "1", "a" * 38 + "-", "a" * 38 + "é", " " + "a" * 38, "a" * 39 + "\n"]
)  # fmt: skip
def test_what_is_no_token_at_all(text: str) -> None:
    assert LINKS.respondent_id(text) is None
    assert not LINKS.verify(text, RESPONDENT, 0)


def test_a_signature_is_good_for_one_respondent() -> None:
    mine, theirs = LINKS.token(RESPONDENT, 0), LINKS.token("rsp_zzzzzzzzzzzz2", 0)
    swapped = theirs[:13] + mine[13:]
    assert not LINKS.verify(swapped, "rsp_zzzzzzzzzzzz2", 0)
    assert not LINKS.verify(mine, "rsp_zzzzzzzzzzzz2", 0)


def test_a_higher_generation_kills_the_older_link() -> None:
    assert not LINKS.verify(LINKS.token(RESPONDENT, 0), RESPONDENT, 1)
    assert not LINKS.verify(LINKS.token(RESPONDENT, 1), RESPONDENT, 11)


def test_the_newest_key_signs_and_older_ones_verify_until_they_are_dropped() -> None:
    before, during, afterwards = (Links("https://a", keys) for keys in ([OLD], [NEW, OLD], [NEW]))
    old = before.token(RESPONDENT, 0)
    assert during.verify(old, RESPONDENT, 0)
    assert not afterwards.verify(old, RESPONDENT, 0)
    assert afterwards.verify(during.token(RESPONDENT, 0), RESPONDENT, 0)
    assert not before.verify(during.token(RESPONDENT, 0), RESPONDENT, 0)


def test_every_new_respondent_fits() -> None:
    ids = RandomIds()
    for _ in range(100):
        respondent = ids.respondent()
        token = LINKS.token(respondent, 0)
        assert LINKS.respondent_id(token) == respondent


def test_no_printed_form_shows_a_key() -> None:
    assert NEW not in repr(LINKS)
    assert NEW not in str(LINKS)
