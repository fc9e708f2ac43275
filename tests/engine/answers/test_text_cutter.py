"""Bytes to text: whatever the cuts, the same text."""

from __future__ import annotations

from hypothesis import given, strategies as st

from llmroute.engine.answers.text_cutter import TextCutter


def _cut(raw: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(raw[at : at + size])
        at += size
    return [*pieces, raw[at:]]


def _feed(cutter: TextCutter, pieces: list[bytes]) -> list[str]:
    shown = []
    for piece in pieces:
        shown.append(cutter.feed(piece))
        if cutter.stopped:
            return shown
    return [*shown, cutter.finish()]


Sizes = st.lists(st.integers(0, 5), max_size=30)


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), Sizes)
def test_any_bytes_in_any_pieces_are_the_text_of_the_whole(raw: bytes, sizes: list[int]) -> None:
    assert "".join(_feed(TextCutter(), _cut(raw, sizes))) == raw.decode("utf-8", "replace")


@given(st.text("ab語", max_size=40), Sizes, st.lists(st.text("ab語", max_size=4), max_size=3))
def test_a_stop_string_is_never_shown(text: str, sizes: list[int], stops: list[str]) -> None:
    cutter = TextCutter(stops)
    shown = "".join(_feed(cutter, _cut(text.encode(), sizes)))
    stops = [stop for stop in stops if stop]
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    assert cutter.stopped == any(stop in text for stop in stops)
    if not cutter.stopped:
        assert shown == text


@given(st.text("ab", max_size=40), Sizes, st.text("ab", min_size=1, max_size=4))
def test_one_stop_string_cuts_where_it_first_stands(text: str, sizes: list[int], stop: str) -> None:
    shown = "".join(_feed(TextCutter([stop]), _cut(text.encode(), sizes)))
    assert shown == text.partition(stop)[0]


def test_what_cannot_become_a_stop_string_is_shown_at_once() -> None:
    cutter = TextCutter(["END"])
    assert [cutter.feed(piece) for piece in (b"a E", b"N", b"x", b"E", b"ND")] == [
        *("a ", "", "ENx", "", "")
    ]
    assert cutter.stopped
