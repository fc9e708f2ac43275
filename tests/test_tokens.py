"""Token counts against recorded ones, on any input, and what they are used for."""

import base64
import hashlib
import importlib.util
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    ModelFileError,
    NotFoundError,
)
from llmroute.registry import get_model_info
from llmroute.runtime import Runtime, use
from llmroute.tokens import (
    TokenCount,
    check_context_window,
    register_counter,
    token_counter,
    trim_messages,
)
from llmroute.tokens.images import MOST_IMAGE_TOKENS, data_uri_size, image_tokens
from llmroute.tokens.vocabulary import VOCABULARIES, find, load
from llmroute.types.chat import Message
from llmroute.types.chat_request import ChatRequest

WIRE = Path(__file__).parent / "wire" / "llama_api"
GOLDEN = json.loads((WIRE / "token_golden.json").read_text())
SCOUT = "meta_llama/Llama-4-Scout-17B-16E-Instruct-FP8"
LLAMA33 = "meta_llama/Llama-3.3-70B-Instruct"


@pytest.fixture(autouse=True)
def empty_tiktoken_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this machine happens to have in tiktoken's cache changes no test."""
    folder = tmp_path / "tiktoken"
    folder.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def no_vocabularies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which `llama-models` is not installed."""
    monkeypatch.setitem(sys.modules, "llama_models", None)
    assert find("llama4") is None


def data_uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def recorded(file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Request body and answer of a recording."""
    data = json.loads((WIRE / file).read_text())
    return data["request"].get("body", data["request"]), data


# --- recorded counts


@pytest.mark.parametrize(
    "golden", [g for g in GOLDEN["prompt"] if "tool" not in g["file"]], ids=lambda g: g["file"]
)
def test_prompts_count_as_the_server_counted(golden: dict[str, Any]) -> None:
    body, _ = recorded(golden["file"])
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else ():
            if part["type"] == "image_url":  # the recorded image's size, without its pixels
                part["image_url"]["url"] = data_uri(png(400, 366))
    count = token_counter(f"meta_llama/{body['model']}", messages=body["messages"])
    assert count == TokenCount(golden["real"], "llama4", exact=True)


@pytest.mark.parametrize("golden", GOLDEN["completion"], ids=lambda g: g["file"])
def test_answers_count_as_the_server_counted(golden: dict[str, Any]) -> None:
    _, data = recorded(golden["file"])
    message = data["response"]["body"]["completion_message"]
    text = message["content"]["text"]
    if message.get("tool_calls"):
        text = '[get_weather(location="Menlo Park")]'
    count = token_counter(SCOUT, text=text)
    assert (count.tokens + 1, count.exact) == (golden["real"], True)  # and the end of the turn


def test_tools_are_an_estimate_near_the_recorded_count() -> None:
    first, _ = recorded("native/06_tool_turn1.json")
    second, _ = recorded("native/07_tool_turn2.json")
    counts = [
        token_counter(f"meta_llama/{b['model']}", messages=b["messages"], tools=b["tools"])
        for b in (first, second)
    ]
    assert [count.tokens for count in counts] == [590, 618]
    assert not any(count.exact for count in counts)


def test_llama_3_text_is_exact_and_its_chat_is_not() -> None:
    assert token_counter(LLAMA33, text="Hello world") == TokenCount(2, "llama3", exact=True)
    chat = token_counter(LLAMA33, messages=[{"role": "user", "content": "Hello world"}])
    assert (chat.method, chat.exact) == ("llama3", False)


# --- forms of input


def test_messages_may_be_a_string_our_own_objects_or_dicts() -> None:
    as_text = token_counter(SCOUT, messages="Hello")
    as_dict = token_counter(SCOUT, messages=[{"role": "user", "content": "Hello"}])
    assert as_text == as_dict
    said = Message(content="Hello")
    assert token_counter(SCOUT, messages=[said]).tokens == as_dict.tokens
    assert int(as_dict) == as_dict.tokens


@pytest.mark.parametrize(
    "arguments",
    [{}, {"messages": "a", "text": "b"}, {"text": "a", "tools": [{"type": "function"}]}],
)
def test_it_takes_either_messages_or_text(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="either"):
        token_counter(SCOUT, **arguments)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hi", "name": "Ada"},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://a.example/b"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{not json"}}],
        },
    ],
)
def test_what_has_no_published_rule_is_not_exact(message: dict[str, Any]) -> None:
    count = token_counter(SCOUT, messages=[message])
    assert not count.exact
    assert count.tokens > token_counter(SCOUT, messages=[{"role": message["role"]}]).tokens


def test_an_image_of_unknown_size_counts_as_the_largest() -> None:
    def count(url: str) -> TokenCount:
        part = {"type": "image_url", "image_url": {"url": url}}
        return token_counter(SCOUT, messages=[{"role": "user", "content": [part]}])

    remote, small = count("https://a.example/b.png"), count(data_uri(png(10, 10)))
    assert remote.tokens - small.tokens == MOST_IMAGE_TOKENS - 147
    assert (remote.exact, small.exact) == (False, True)


@given(st.text(st.characters(exclude_categories=())))
@example("\ud800 lone \udc00")
@example("<|eot|><|begin_of_text|>")
def test_any_text_counts_to_at_most_its_bytes(text: str) -> None:
    count = token_counter(SCOUT, text=text)
    assert count.tokens <= len(text.encode(errors="surrogatepass"))
    assert (count.tokens > 0) == bool(text)


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u3000"])
def test_a_million_blanks_do_not_bring_the_tokenizer_down(blank: str) -> None:
    count = token_counter(SCOUT, text=blank * 1_000_000 + "x")
    assert not count.exact
    assert count.tokens > 1000


def test_pieces_of_long_blanks_count_as_the_whole_does() -> None:
    pieces = token_counter(SCOUT, text="a" + " " * 30_000 + "b").tokens
    tokenizer = load("llama4")
    assert tokenizer is not None
    whole = len(tokenizer._encoding.encode_ordinary("a" + " " * 30_000 + "b"))
    assert abs(pieces - whole) <= 2


# --- images


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((400, 366), 727),
        ((1024, 1024), 2467),
        ((1920, 1080), 2322),
        ((336, 336), 147),
        ((1, 1), 147),
        ((337, 336), 1 + 2 * 144 + 2 + 146),
        ((100_000, 10), MOST_IMAGE_TOKENS),
    ],
)
def test_image_tokens(size: tuple[int, int], tokens: int) -> None:
    assert image_tokens(*size) == tokens


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_no_image_costs_more_than_the_most(width: int, height: int) -> None:
    assert 147 <= image_tokens(width, height) <= MOST_IMAGE_TOKENS


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF\x00\x00\x00\x00WEBP" + kind + b"\x00\x00\x00\x00" + body


JPEG = (
    b"\xff\xd8\xff\xe1\x00\x06Exif\xff\xff\xc4\x00\x04\x00\x00\xff\xc2\x00\x11\x08"
    + struct.pack(">HH", 480, 640)
)
IMAGES = {
    "png": png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480),
    "jpeg": JPEG,
    "webp-lossy": webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)),
    "webp-lossless": webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 479 << 14)),
    "webp-extended": webp(b"VP8X", b"\x00" * 4 + b"\x7f\x02\x00\xdf\x01\x00"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_the_size_is_read_from_the_first_bytes(name: str) -> None:
    assert data_uri_size(data_uri(IMAGES[name], name)) == (640, 480)


@pytest.mark.parametrize("name", IMAGES)
def test_a_truncated_image_has_no_size(name: str) -> None:
    for end in range(len(IMAGES[name])):
        assert data_uri_size(data_uri(IMAGES[name][:end])) is None


@given(st.sampled_from([b"", *(data[:16] for data in IMAGES.values())]), st.binary(max_size=64))
def test_any_bytes_have_a_size_or_none(start: bytes, rest: bytes) -> None:
    size = data_uri_size(data_uri(start + rest))
    assert size is None or min(size) > 0


@pytest.mark.parametrize("url", ["https://a.example/b.png", "data:image/png,abc", "", "data:"])
def test_a_url_without_data_has_no_size(url: str) -> None:
    assert data_uri_size(url) is None


# --- where vocabularies come from


def test_the_vocabularies_are_the_recorded_ones() -> None:
    for name in ("llama3", "llama4"):
        assert VOCABULARIES[name].sha256 == GOLDEN["tokenizers"][name]["sha256"]


def test_the_folder_setting_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = find("llama4")
    assert installed is not None
    folder = tmp_path / "tokenizers"
    (folder / "llama4").mkdir(parents=True)
    copy = folder / "llama4" / "tokenizer.model"
    copy.write_bytes(installed.read_bytes())
    monkeypatch.setenv("LLMROUTE_TOKENIZERS_DIR", str(folder))
    assert find("llama4") == copy
    assert find("llama3") != folder / "llama3" / "tokenizer.model"
    copy.write_bytes(b"YQ== 0\n")
    with pytest.raises(ModelFileError, match=r"tokenizer\.model"):
        token_counter(SCOUT, text="a")


def test_tiktokens_cache_is_looked_up_by_the_name_tiktoken_uses(empty_tiktoken_cache: Path) -> None:
    url = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    cached = empty_tiktoken_cache / hashlib.sha1(url.encode()).hexdigest()
    assert find("cl100k_base") is None
    cached.write_bytes(b"not it")
    with pytest.raises(ModelFileError, match=str(cached)):
        token_counter("openai/gpt-4", text="a")
    assert cached.exists()  # tiktoken itself would delete it and ask the network


@pytest.mark.usefixtures("no_vocabularies")
@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcdefgh", 3), ("abcde", 2), ("日本語", 3), ("\ud800", 1)]
)
def test_without_a_vocabulary_it_is_a_marked_estimate(text: str, tokens: int) -> None:
    assert token_counter(SCOUT, text=text) == TokenCount(tokens, "estimate", exact=False)
    assert not token_counter("nobody/knows", messages=text).exact


def test_llama_models_is_found_but_not_imported_and_tiktoken_is_lazy() -> None:
    code = (
        "import sys; from llmroute.tokens import token_counter;"
        "lazy = 'tiktoken' not in sys.modules;"
        f"print(lazy, token_counter({SCOUT!r}, text='a').method, 'llama_models' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "llama4", "False"]


def test_llama_models_is_installed_for_these_tests() -> None:
    assert importlib.util.find_spec("llama_models"), "pip install 'llmroute[llama-tokens]'"


@pytest.fixture
def words_counter() -> Iterator[Callable[..., TokenCount]]:
    def count(model: str, messages: Any, text: str | None, tools: Any) -> TokenCount:
        content = text if text is not None else " ".join(m["content"] for m in messages)
        return TokenCount(len(content.split()), "words", exact=True)

    with use(Runtime()):
        register_counter("words", count)
        yield count


@pytest.mark.usefixtures("words_counter")
def test_a_registered_counter_counts_for_its_prefix() -> None:
    assert token_counter("words/any", text="one two three") == TokenCount(3, "words", exact=True)


# --- making a conversation fit


def say(role: str, words: int, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": " ".join(["w"] * words), **more}


TALK = [
    say("system", 1),
    say("user", 10),
    say("assistant", 10),
    say("user", 10),
    say("assistant", 10, tool_calls=[{"id": "1"}, {"id": "2"}]),
    say("tool", 10, tool_call_id="1"),
    say("tool", 10, tool_call_id="2"),
    say("assistant", 10),
    say("user", 5),
]


@pytest.mark.usefixtures("words_counter")
@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (1000, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (76, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (75, [0, 2, 3, 4, 5, 6, 7, 8]),
        (46, [0, 4, 5, 6, 7, 8]),
        (45, [0, 7, 8]),
        (16, [0, 7, 8]),
        (6, [0, 8]),
    ],
)
def test_trimming_drops_the_oldest_and_keeps_tool_pairs(limit: int, kept: list[int]) -> None:
    assert trim_messages(TALK, "words/any", max_tokens=limit) == [TALK[i] for i in kept]


@pytest.mark.usefixtures("words_counter")
def test_trimming_keeps_the_question_of_a_long_run_of_tools() -> None:
    talk = [say("user", 3)]
    for call in range(5):
        talk.append(say("assistant", 1, tool_calls=[{"id": str(call)}]))
        talk.append(say("tool", 9, tool_call_id=str(call)))
    trimmed = trim_messages(talk, "words/any", max_tokens=23)
    assert trimmed == [talk[0], *talk[-4:]]


@pytest.mark.usefixtures("words_counter")
def test_what_can_not_fit_is_an_error() -> None:
    with pytest.raises(ContextWindowExceededError, match="6 tokens; the limit is 5"):
        trim_messages(TALK, "words/any", max_tokens=5)


def test_trimming_by_default_takes_three_quarters_of_the_window() -> None:
    long = [{"role": "user", "content": "word " * 40_000} for _ in range(3)]
    trimmed = trim_messages(long, SCOUT)
    assert len(trimmed) == 2
    assert trim_messages(long, SCOUT, trim_ratio=1.0) == long


def test_trimming_needs_a_limit_it_can_know() -> None:
    with pytest.raises(BadRequestError, match="max_tokens="):
        trim_messages("a", "voyage/voyage-3.5")
    with pytest.raises(NotFoundError):
        trim_messages("a", "nobody/knows")


# --- refusing what can't fit


def ask(content: Any, model: str = SCOUT, **params: Any) -> ChatRequest:
    return ChatRequest(model=model, messages=[{"role": "user", "content": content}], params=params)


def test_a_prompt_that_is_sure_not_to_fit_is_refused_before_sending() -> None:
    with pytest.raises(ContextWindowExceededError) as caught:
        check_context_window(ask("word " * 130_000))
    assert "130011 tokens" in str(caught.value)
    assert (caught.value.provider, caught.value.model) == ("meta_llama", SCOUT)


@pytest.mark.parametrize(
    "request_",
    [
        ask("word " * 120_000),
        ask("word " * 130_000, tools=[{"type": "function"}]),
        ask("word " * 130_000, model="openai/gpt-4"),
        ask("word " * 130_000, model=LLAMA33),
        ask("word " * 130_000, model="meta_llama/someone-elses"),
        ask([{"type": "text", "text": "word " * 130_000}, {"type": "file", "file": {}}]),
    ],
    ids=["fits", "tools", "other provider", "llama 3", "unknown", "unknown part"],
)
def test_what_may_fit_is_sent(request_: ChatRequest) -> None:
    check_context_window(request_)


@pytest.mark.usefixtures("no_vocabularies")
def test_without_the_vocabulary_nothing_is_refused() -> None:
    check_context_window(ask("word " * 130_000))


def test_images_count_by_their_size_not_by_their_data() -> None:
    image = {"type": "image_url", "image_url": {"url": data_uri(png(10, 10) + bytes(600_000))}}
    check_context_window(ask([image] * 60))
    small = {"type": "image_url", "image_url": {"url": data_uri(png(10, 10))}}
    with pytest.raises(ContextWindowExceededError):
        check_context_window(ask([small] * 900))


def test_a_short_prompt_loads_no_tokenizer() -> None:
    code = (
        "import sys; from llmroute.tokens import check_context_window as check;"
        "from llmroute.types.chat_request import ChatRequest;"
        "messages = [{'role': 'user', 'content': 'a' * 99999}];"
        f"check(ChatRequest(model={SCOUT!r}, messages=messages));"
        "print('tiktoken' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_window_may_be_given() -> None:
    info = replace(get_model_info(SCOUT), max_input_tokens=5)
    with pytest.raises(ContextWindowExceededError):
        check_context_window(ask("Hello"), info)
