"""What prompt lookup expects, and how many tokens are worth drafting."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from llmroute.engine.drafts.lengths import Pace, StepTimes, draft_lengths
from llmroute.engine.drafts.lookup import Lookup

_TOKENS = st.lists(st.integers(-1, 3), max_size=60)


def read(tokens: list[int], lookup: Lookup | None = None) -> Lookup:
    lookup = lookup or Lookup()
    list(lookup.read(tokens))
    return lookup


@given(_TOKENS, st.integers(0, 20))
def test_what_is_expected_followed_the_last_tokens_before(tokens: list[int], count: int) -> None:
    lookup = read(tokens)
    found = lookup.next(tokens, count)
    assert len(found) == (count if lookup.expects else 0)
    if found and lookup.expects:
        longer = [*tokens, *found]
        places = [
            place
            for place in range(3, len(tokens))
            if tokens[place - 3 : place] == tokens[-3:]
            and [longer[place + n] for n in range(count)] == found
        ]
        assert places


@given(_TOKENS, st.integers(0, 60))
def test_reading_in_parts_is_reading(tokens: list[int], cut: int) -> None:
    whole, parts = Lookup(), Lookup()
    hits = list(whole.read(tokens))
    assert [*parts.read(tokens[:cut]), *parts.read(tokens)] == hits
    assert parts.next(tokens, 5) == whole.next(tokens, 5)


def test_a_passage_is_followed_to_its_end() -> None:
    passage = [1, 2, 3, 4, 5, 6, 1, 2, 3, 9]
    lookup = read([*passage, 0, 1, 2, 3, 4, 5, 6])
    # "1 2 3" came last before the 9, but what is written is the passage from its beginning.
    tokens = [*passage, 0, 1, 2, 3, 4, 5, 6, 1, 2, 3]
    assert read(tokens, lookup).next(tokens, 3) == [9, 0, 1]


def test_what_repeats_itself_goes_on_so() -> None:
    tokens = [7, 8, 9, 7, 8, 9]
    assert read(tokens).next(tokens, 7) == [7, 8, 9, 7, 8, 9, 7]


def times(**seconds: float) -> StepTimes:
    found = StepTimes()
    for tokens, value in seconds.items():
        for _ in range(50):
            found.add(int(tokens.strip("_")), value)
    return found


def test_nothing_is_drafted_before_some_steps_were_timed() -> None:
    known = StepTimes()
    for _ in range(3):
        assert draft_lengths([(1.0, 16)], 100, known) == [0]
        known.add(1, 1.0)
    assert draft_lengths([(1.0, 16)], 100, known) == [16]
    for _ in range(100):
        known.tick()
    assert draft_lengths([(1.0, 16)], 100, known) == [0]


@pytest.mark.parametrize(
    ("cost", "chance", "expected"),
    [
        (0.02, 1.0, 16),
        (0.02, 0.9, 16),
        (0.2, 1.0, 16),
        (0.2, 0.9, 7),
        (0.2, 0.5, 1),
        (0.2, 0.1, 0),
        (0.5, 0.9, 3),
        (0.5, 0.5, 0),
        (1.0, 1.0, 0),
        (0.02, 0.0, 0),
    ],
)
def test_as_many_as_pay(cost: float, chance: float, expected: int) -> None:
    known = times(_1=1.0, _17=1.0 + 16 * cost)
    assert draft_lengths([(chance, 16)], 100, known) == [expected]


def test_the_more_answers_the_fewer_drafts() -> None:
    known = times(_1=1.0, _2=1.2, _4=1.6, _16=4.0, _101=21.0)
    totals = [draft_lengths([(0.7, 16)] * answers, 500, known)[0] for answers in (1, 2, 4, 16)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 0 == totals[-1]


def test_limits_hold() -> None:
    known = times(_1=1.0, _3=1.01, _101=1.5)
    assert draft_lengths([(1.0, 5), (1.0, 16), (1.0, 16)], 12, known) == [5, 7, 0]
    assert draft_lengths([(1.0, 16), (1.0, 0), (1.0, -1)], 0, known) == [0, 0, 0]


def test_a_slow_drafter_is_not_asked() -> None:
    known = times(_1=1.0, _17=1.2)
    assert draft_lengths([(1.0, 16)], 100, known, drafting=0.1)[0] > 4
    assert draft_lengths([(1.0, 16)], 100, known, drafting=1.0) == [0]


def test_one_bad_moment_is_no_news_and_many_are() -> None:
    known = times(_1=1.0, _9=2.0)
    known.add(9, 100.0)
    assert known.of(9) == pytest.approx(2.2)
    for _ in range(100):
        known.add(9, 4.0)
    assert known.of(9) == pytest.approx(4.0, rel=0.05)


def test_what_was_too_slow_is_tried_again_after_long() -> None:
    known = times(_1=1.0, _17=40.0)
    assert draft_lengths([(0.9, 16)], 100, known) == [0]
    for _ in range(10_000):
        known.tick()
        known.add(1, 1.0)
    assert draft_lengths([(0.9, 16)], 100, known) != [0]


@given(st.lists(st.booleans(), max_size=200))
def test_a_chance_is_one(seen: list[bool]) -> None:
    pace = Pace()
    for right in seen:
        pace.saw(right)
    assert 0 < pace.chance < 1
