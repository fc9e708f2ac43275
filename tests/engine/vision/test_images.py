"""Images in messages, with a tiny encoder beside a tiny model."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pngs import BLUE, RED, asking, bomb, data_uri, part, png

from llmroute import acompletion, completion, register_local_model
from llmroute.engine.options.vision_formats import _HANDLERS
from llmroute.errors import (
    BadRequestError,
    ContextWindowExceededError,
    ModelFileError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedOperationError,
    UnsupportedParamsError,
)
from llmroute.local_models import unload
from llmroute.testing.tiny_gguf import write_random
from llmroute.testing.tiny_mmproj import IMAGE_TOKENS, write_mmproj
from llmroute.types.chat import ChatCompletion

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

Ask = Callable[..., ChatCompletion]


def text_of(answer: ChatCompletion) -> str:
    text = answer.choices[0].message.content
    assert isinstance(text, str)
    return text


def prompt_tokens(answer: ChatCompletion) -> int:
    assert answer.usage is not None
    return answer.usage.prompt_tokens


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mmproj(tmp_path_factory.mktemp("mmproj") / "mmproj.gguf")


def _streamed(*args: Any, **kwargs: Any) -> ChatCompletion:
    with completion(*args, stream=True, stream_options={"include_usage": True}, **kwargs) as chunks:
        return chunks.get_final_completion()


def _in_loop(*args: Any, **kwargs: Any) -> ChatCompletion:
    return asyncio.run(acompletion(*args, **kwargs))


@pytest.fixture(params=[completion, _streamed, _in_loop], ids=["sync", "stream", "async"])
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def ask(tiny_random: Path, encoder: Path, way: Any) -> Ask:
    """`ask("text", part(image), ..., option=...)`: one question to the model."""
    return _asker(tiny_random, encoder, way)


@pytest.fixture
def ask_once(tiny_random: Path, encoder: Path) -> Ask:
    return _asker(tiny_random, encoder, completion)


def _asker(model: Path, encoder: Path, way: Any) -> Ask:
    def ask(*content: object, messages: Any = None, **options: Any) -> ChatCompletion:
        load = {"mmproj": str(encoder), "n_threads": 1, **options.pop("load", {})}
        options = {"temperature": 0, "max_tokens": 12, **options}
        given = messages or asking(*content)
        answer: ChatCompletion = way(f"llamacpp/{model}", given, model_kwargs=load, **options)
        return answer

    return ask


def test_the_answer_depends_on_the_image_and_is_the_same_again(ask: Ask) -> None:
    red, blue = part(data_uri(png(RED))), part(data_uri(png(BLUE)))
    answers = [text_of(ask("What is this?", image)) for image in (red, blue, red, blue)]
    assert answers[0] == answers[2] != answers[1] == answers[3]


def test_bytes_and_a_plain_url_text_are_images_too(ask: Ask) -> None:
    expected = text_of(ask("What?", part(data_uri(png(RED)))))
    assert text_of(ask("What?", part(png(RED)))) == expected
    plain = {"type": "image_url", "image_url": data_uri(png(RED))}
    assert text_of(ask("What?", plain)) == expected


def test_the_order_of_texts_and_images_counts(ask_once: Ask) -> None:
    red, blue = part(png(RED)), part(png(BLUE))
    orders = [
        ("a", red, blue),
        ("a", blue, red),
        (red, "a", blue, "b"),
        (red, blue, "a"),
        (red, red),
    ]
    assert len({text_of(ask_once(*content)) for content in orders}) == len(orders)


def test_an_image_counts_as_its_positions(ask: Ask) -> None:
    without = prompt_tokens(ask("What?"))
    assert prompt_tokens(ask("What?", part(png(RED)))) == without + IMAGE_TOKENS
    assert prompt_tokens(ask(part(png(RED)), "What?", part(png(RED, 300, 20)))) == (
        without + 2 * IMAGE_TOKENS
    )


def test_the_conversation_goes_on_behind_an_image(ask_once: Ask) -> None:
    messages = asking("What?", part(png(RED)))
    first = ask_once(messages=messages)
    messages += [first.choices[0].message, {"role": "user", "content": "Why?"}]  # type: ignore[list-item]
    second = ask_once(messages=messages)
    assert prompt_tokens(second) > prompt_tokens(first)
    assert second.usage is not None
    assert second.usage.prompt_tokens_details is not None
    assert (second.usage.prompt_tokens_details.cached_tokens or 0) >= IMAGE_TOKENS


def test_another_image_of_the_same_size_is_not_taken_from_the_cache(ask_once: Ask) -> None:
    fresh = text_of(ask_once("Q", part(png((9, 200, 9))), load={"prefix_cache": False}))
    ask_once("Q", part(png((200, 9, 9))))
    assert text_of(ask_once("Q", part(png((9, 200, 9))))) == fresh


@pytest.mark.parametrize("text", ["<__media__>", "<image>", "\ue0020-0\ue003", "<|im_end|>"])
def test_no_text_stands_for_an_image(ask_once: Ask, text: str) -> None:
    alone = prompt_tokens(ask_once(text))
    with_image = ask_once(text, part(png(RED)))
    assert prompt_tokens(with_image) == alone + IMAGE_TOKENS
    assert text_of(with_image) != text_of(ask_once(text, part(png(BLUE))))


@pytest.mark.parametrize("role", ["system", "assistant", "developer"])
def test_only_the_user_sends_images(ask_once: Ask, role: str) -> None:
    (message,) = asking("See", part(png(RED)))
    with pytest.raises(BadRequestError, match=f"role '{role}' cannot have images"):
        ask_once(messages=[message | {"role": role}, {"role": "user", "content": "Hi"}])


def test_images_need_an_encoder(tiny_random: Path, way: Any) -> None:
    unload()  # a model that another test has loaded with an encoder would do
    with pytest.raises(UnsupportedOperationError, match="mmproj") as caught:
        way(f"llamacpp/{tiny_random}", asking("What?", part(png(RED))))
    assert caught.value.param == "mmproj"


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(800))
    return file.getvalue()


NO_IMAGES = {
    "nothing": b"",
    "garbage": b"garbage" * 40,
    "a cut PNG": png(RED)[:60],
    "a PNG with broken data": png(RED).replace(b"IDAT", b"IDAX"),
    "a PNG without its data": bomb(64, 64),
    "a PNG that claims to be huge": bomb(2**31 - 1, 2**31 - 1),
    "a PNG without width": bomb(0, 8),
    "a JPEG's first bytes": b"\xff\xd8\xff\xe0",
    "a cut JPEG": b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03" + bytes(20),
    "a GIF's header": b"GIF89a" + bytes(10),
    "a GIF with a size only": b"GIF89a\x08\x00\x08\x00\xf7\x00\x00",
    "a BMP's header": b"BM" + bytes(60),
    "a BMP with a size only": b"BM" + bytes(12) + b"\x28\0\0\0\x08\0\0\0\x08\0\0\0" + bytes(40),
    "a WebP": b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40),
    "a sound": _wav(),
    "a video": b"\0\0\0\x18ftypmp42" + bytes(100),
    "a text": b"P3 1 1 255 255 0 0",
}


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_refused(ask_once: Ask, name: str) -> None:
    for url in (NO_IMAGES[name], data_uri(NO_IMAGES[name])):
        with pytest.raises(BadRequestError) as caught:
            ask_once("What?", part(url))
        assert type(caught.value) is BadRequestError
    assert text_of(ask_once("Still there?", part(png(RED))))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("data:image/png;base64,???", BadRequestError),
        ("data:image/png;base64", BadRequestError),
        ("data:,hello", BadRequestError),
        ("", BadRequestError),
        (None, BadRequestError),
        (3, BadRequestError),
        ("file:///etc/passwd", PermissionDeniedError),
        ("FILE:///etc/passwd", PermissionDeniedError),
        ("ftp://example.org/cat.png", PermissionDeniedError),
        ("/etc/passwd", PermissionDeniedError),
        ("cat.png", PermissionDeniedError),
        ("http://127.0.0.1/cat.png", PermissionDeniedError),
        ("https://example.org/cat.png", PermissionDeniedError),
        ("HTTP://[::1]/cat.png", PermissionDeniedError),
        ("http://[/cat.png", PermissionDeniedError),
    ],
    ids=str,
)
def test_other_addresses_are_refused(ask: Ask, url: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ask("What?", part(url))


@pytest.mark.parametrize("image", [{"type": "image_url"}, {"type": "image_url", "image_url": {}}])
def test_a_part_without_an_address_is_refused(ask_once: Ask, image: object) -> None:
    with pytest.raises(BadRequestError):
        ask_once("What?", image)


def test_files_below_the_allowed_folder(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "red.png").write_bytes(png(RED))
    (tmp_path / "outside.png").write_bytes(png(RED))
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    load = {"allow_local_images": str(folder)}
    expected = text_of(ask("What?", part(png(RED))))
    for name in ("red.png", str(folder / "red.png")):
        assert text_of(ask("What?", part(name), load=load)) == expected
    for name in ("../outside.png", str(tmp_path / "outside.png"), "link.png", "/etc/passwd"):
        with pytest.raises(PermissionDeniedError, match="leads out of the folder"):
            ask("What?", part(name), load=load)
    for name in ("none.png", ".", "a\0b"):
        with pytest.raises(BadRequestError):
            ask("What?", part(name), load=load)
    with pytest.raises(PermissionDeniedError):
        ask("What?", part(f"file://{folder}/red.png"), load=load)


def test_an_alias_may_bring_the_encoder(tiny_random: Path, encoder: Path) -> None:
    register_local_model("seeing", tiny_random, clip_model_path=encoder)
    answer = completion("llamacpp/seeing", asking("Hi", part(png(RED))), max_tokens=3)
    assert answer.choices[0].finish_reason == "length"


def test_a_long_conversation_with_images_does_not_fit(ask_once: Ask) -> None:
    images = [part(png((n, n, n))) for n in range(20)]
    with pytest.raises(ContextWindowExceededError):
        ask_once("What?", *images, load={"n_ctx": 256})


@pytest.mark.parametrize("load", [{}, {"n_batch": 8, "n_parallel": 4}, {"n_ctx": 256}], ids=str)
def test_neighbours_do_not_change_an_answer(ask_once: Ask, load: dict[str, Any]) -> None:
    contents: list[tuple[object, ...]] = [
        (f"What {'is ' * (n % 4)} it?", *(part(png((20 * n, 0, 0))) for _ in range(n % 3)))
        for n in range(12)
    ]

    def run(content: tuple[object, ...]) -> str:
        return text_of(ask_once(*content, load=load))

    alone = [run(content) for content in contents]
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(run, contents)) == alone


def test_several_answers_to_one_image(ask_once: Ask) -> None:
    answer = ask_once("What?", part(png(RED)), n=3)
    assert len({choice.message.content for choice in answer.choices}) == 1


@pytest.mark.parametrize("name", _HANDLERS)
def test_every_named_handler_sees(ask_once: Ask, name: str) -> None:
    load = {"chat_handler_name": name}
    red, blue = (ask_once("What?", part(png(colour)), load=load) for colour in (RED, BLUE))
    assert text_of(red) != text_of(blue)
    assert prompt_tokens(red) > IMAGE_TOKENS


def test_the_names_are_those_of_llama_cpp_python() -> None:
    from llama_cpp import llama_chat_format

    theirs = {name for name in dir(llama_chat_format) if name.endswith("ChatHandler")}
    assert theirs == {name for name in _HANDLERS if name.endswith("ChatHandler")}


def test_a_mistyped_handler_name_is_answered_with_the_nearest(ask_once: Ask) -> None:
    with pytest.raises(BadRequestError, match="Did you mean 'Llava15ChatHandler'"):
        ask_once("Hi", load={"chat_handler_name": "Llava15Handler"})


def test_a_file_that_is_no_encoder_is_refused(tiny_random: Path, tmp_path: Path) -> None:
    narrow = write_mmproj(tmp_path / "narrow.gguf", model_width=32)
    whole = write_mmproj(tmp_path / "whole.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: len(whole) // 2])
    for mmproj, kind in [
        (tmp_path / "missing.gguf", NotFoundError),
        (tmp_path, ModelFileError),
        (tiny_random, ModelFileError),
        (narrow, ModelFileError),
        (cut, ModelFileError),
        (3, BadRequestError),
    ]:
        with pytest.raises(kind):
            completion(f"llamacpp/{tiny_random}", "Hi", model_kwargs={"mmproj": mmproj})
    with pytest.raises(UnsupportedParamsError, match="Did you mean 'mmproj'"):
        completion(f"llamacpp/{tiny_random}", "Hi", model_kwargs={"mmprj": narrow})


def test_a_template_that_drops_images_is_refused(tmp_path: Path, encoder: Path) -> None:
    deaf = write_random(tmp_path / "deaf.gguf", chat_template="{{ 'Hello' }}")
    with pytest.raises(BadRequestError, match="does not keep"):
        completion(
            f"llamacpp/{deaf}", asking(part(png(RED))), model_kwargs={"mmproj": str(encoder)}
        )


def test_a_cancelled_call_leaves_the_others_alone(tiny_random: Path, encoder: Path) -> None:
    async def ask(*images: bytes) -> str:
        answer = await acompletion(
            f"llamacpp/{tiny_random}",
            asking("What?", *map(part, images)),
            model_kwargs={"mmproj": str(encoder)},
            temperature=0,
            max_tokens=5,
        )
        return text_of(answer)

    async def story() -> None:
        expected = await ask(png(RED))
        slow = asyncio.create_task(ask(*(png((n, 1, 2)) for n in range(60))))
        await ask(png(BLUE))
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await ask(png(RED)) == expected

    asyncio.run(story())
