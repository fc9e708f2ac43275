"""What ended calls left, saved to a file and restored."""

from __future__ import annotations

import asyncio
import os
import random
import stat
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from calls_here import arun, call, patient, run, token_ids, told
from pngs import BLUE, RED, asking, part, png

from llmroute import completion, load_session, save_session
from llmroute.engine.gguf.header import read_any_header
from llmroute.engine.sessions.file import read_session, write_session
from llmroute.engine.sessions.identity import _is_extended
from llmroute.errors import (
    InternalServerError,
    ModelUnloadedError,
    NotFoundError,
    SessionFileError,
    UnsupportedOperationError,
)
from llmroute.local_models import loaded_models, unload, warm_up
from llmroute.providers.base import LocalToken
from llmroute.testing.gguf_writer import Tensor, write_gguf
from llmroute.testing.tiny_gguf import write_random
from llmroute.testing.tiny_lora import write_lora
from llmroute.testing.tiny_mmproj import IMAGE_TOKENS, write_mmproj
from llmroute.transport.local import open_local

pytest.importorskip("llama_cpp")
pytestmark = [pytest.mark.native, pytest.mark.usefixtures("unloaded")]

REAL_MODEL = os.environ.get("LLMROUTE_TEST_MODEL", "")
_LOAD: dict[str, Any] = {"n_threads": 1}
_STORY = [40 + number % 40 for number in range(100)]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No test sees what another left in the cache."""
    unload()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "saved.session"


def ask(model: Path, prompt: list[int], **load: Any) -> tuple[str, int]:
    """The answer, and how much of the prompt was not computed."""
    result = run(call(model, prompt, load=_LOAD | load, max_tokens=8))
    assert result.usage is not None
    return result.text, result.usage.cached_tokens


def save(model: Path, path: Path, **load: Any) -> int:
    return save_session(str(model), path, **_LOAD | load)


def restore(model: Path, path: Path, **load: Any) -> int:
    return load_session(str(model), path, **_LOAD | load)


def saved(model: Path, path: Path, *prompts: list[int], **load: Any) -> int:
    """Save what prompts leave, and forget it here."""
    for prompt in prompts:
        ask(model, prompt, **load)
    count = save(model, path, **load)
    unload()
    return count


def rewritten(path: Path, **changed: Any) -> None:
    """Save a session anew with something else said of where it comes from."""
    with read_session(path) as file:
        identity = {**file._identity, **changed}
        sequences = list(file.sequences())
    with write_session(path, identity) as writer:
        for sequence in sequences:
            writer.add(sequence)


_TALK = """
import sys
from llmroute import completion, load_session, save_session

model, path, part = "llamacpp/" + sys.argv[1], sys.argv[2], sys.argv[3]
options = {"max_tokens": 12, "temperature": 0, "model_kwargs": {"n_threads": 1}}
messages = [{"role": "system", "content": "You are a patient helper. " * 20}]
messages.append({"role": "user", "content": "Who is there?"})
if part == "first":
    print(completion(model, messages, **options).text.encode())
    assert save_session(model, path, n_threads=1) > 500
else:
    if part == "second":
        load_session(model, path, n_threads=1)
    messages += [{"role": "assistant", "content": "A friend."}]
    messages += [{"role": "user", "content": "And then?"}]
    answer = completion(model, messages, **options)
    print(answer.text.encode(), answer.usage.prompt_tokens_details.cached_tokens > 500)
"""


def test_the_next_process_goes_on(tiny_random: Path, path: Path) -> None:
    told(_TALK, tiny_random, path, "first")
    text, was_cached = told(_TALK, tiny_random, path, "second").rsplit(" ", 1)
    assert was_cached == "True"
    assert told(_TALK, tiny_random, path, "without") == f"{text} False"


@pytest.mark.parametrize("load", [{}, {"flash_attn": True}, {"n_parallel": 1}], ids=str)
def test_what_is_restored_is_as_it_was(tiny_random: Path, path: Path, load: dict[str, Any]) -> None:
    other = [*_STORY[:60], *[90] * 50]
    expected = ask(tiny_random, [*_STORY, 91], **load)[0], ask(tiny_random, [*other, 92], **load)[0]
    # The first 60 tokens of both are in the file once.
    assert save(tiny_random, path, **load) == 108 + 58
    unload()
    assert restore(tiny_random, path, **load) == 108 + 58
    assert ask(tiny_random, [*_STORY, 91], **load) == (expected[0], 100)
    assert ask(tiny_random, [*other, 92], **load) == (expected[1], 110)


def test_saving_changes_nothing(tiny_random: Path, path: Path) -> None:
    prompts = [_STORY, [*_STORY[:60], *[90] * 50], [*_STORY[:60], *[91] * 50]]
    for prompt in prompts:
        ask(tiny_random, prompt)
    for number in range(3):
        save(tiny_random, path)
        for prompt in prompts:
            longer = [*prompt, 92 + number]
            expected = ask(tiny_random, longer, prefix_cache=False)[0]
            assert ask(tiny_random, longer) == (expected, len(prompt))


def test_turns_go_on_after_each_restart(tiny_random: Path, path: Path) -> None:
    talks = [[50 + number] * 30 for number in range(3)]
    for turn in range(3):
        for talk in talks:
            text, cached = ask(tiny_random, talk)
            assert cached == (20 + 10 * turn if turn else 0)
            assert text == ask(tiny_random, talk, prefix_cache=False)[0]
            talk += [60 + turn] * 10
        saved(tiny_random, path)
        restore(tiny_random, path)


def test_from_a_loop(tiny_random: Path, path: Path) -> None:
    async def story() -> int:
        wanted = call(tiny_random, _STORY, max_tokens=8)
        first = await arun(wanted)
        await asyncio.to_thread(save, tiny_random, path)
        await asyncio.to_thread(unload)
        await asyncio.to_thread(restore, tiny_random, path)
        second = await arun(wanted)
        assert first.text == second.text
        assert second.usage is not None
        return second.usage.cached_tokens

    assert asyncio.run(story()) == 99


def test_a_session_with_nothing_in_it(tiny_random: Path, path: Path) -> None:
    warm_up(str(tiny_random), **_LOAD)
    assert save(tiny_random, path) == 0
    assert restore(tiny_random, path) == 0


# What comes back when there is little room


def test_what_was_used_last_comes_first(tiny_random: Path, path: Path) -> None:
    prompts = [[50 + number] * 100 for number in range(4)]
    assert saved(tiny_random, path, *prompts) == 4 * 107
    load = {"n_ctx": 256}
    assert restore(tiny_random, path, **load) == 2 * 107
    cached = [ask(tiny_random, prompt, **load)[1] for prompt in reversed(prompts)]
    assert cached[:2] == [99, 99]


def test_what_begins_alike_takes_the_room_it_took(tiny_random: Path, path: Path) -> None:
    load = {"n_ctx": 512}
    talks = [[*_STORY, *_STORY, *_STORY, *[80 + number] * 20] for number in range(4)]
    count = saved(tiny_random, path, *talks, **load)
    assert count == 300 + 4 * 27
    assert restore(tiny_random, path, **load) == count
    assert [ask(tiny_random, [*talk, 90], **load)[1] for talk in talks] == [320] * 4
    first = path.stat().st_size
    assert save(tiny_random, path, **load) >= count
    assert path.stat().st_size < 1.5 * first


def test_what_is_too_long_is_left_out(tiny_random: Path, path: Path) -> None:
    assert saved(tiny_random, path, [50] * 20, [51] * 600) == 27 + 607
    assert restore(tiny_random, path, n_ctx=256) == 27
    assert ask(tiny_random, [50] * 20, n_ctx=256)[1] == 19


def test_what_begins_like_one_that_is_left_out(tiny_random: Path, path: Path) -> None:
    assert saved(tiny_random, path, [*_STORY, 90], [*_STORY, *[91] * 300]) == 407 + 8
    assert restore(tiny_random, path, n_ctx=256) == 0
    ask(tiny_random, [*_STORY, 92], n_ctx=256)
    assert restore(tiny_random, path, n_ctx=256) == 8
    assert ask(tiny_random, [*_STORY, 90], n_ctx=256)[1] == 100


def test_what_was_kept_before_makes_room(tiny_random: Path, path: Path) -> None:
    load = {"n_parallel": 1}  # five sequences
    saved(tiny_random, path, [50] * 20, [51] * 20, **load)
    before = [[60 + number] * 20 for number in range(5)]
    for prompt in before:
        ask(tiny_random, prompt, **load)
    assert restore(tiny_random, path, **load) == 2 * 27
    cached = [ask(tiny_random, prompt, **load)[1] for prompt in reversed(before)]
    assert cached == [19, 19, 19, 0, 0]


def test_restoring_twice_takes_no_more_room(tiny_random: Path, path: Path) -> None:
    ask(tiny_random, _STORY)
    ask(tiny_random, [50] * 20)
    count = save(tiny_random, path)
    for _ in range(3):
        assert restore(tiny_random, path) == count
    (engine,) = loaded_models()
    for number in range(engine.options.at_once):
        ask(tiny_random, [60 + number] * 20)
    assert ask(tiny_random, _STORY)[1] == 99


def test_running_answers_keep_their_cells(tiny_random: Path, path: Path) -> None:
    load = {"n_ctx": 512}
    saved(tiny_random, path, [50] * 200, [51] * 200, [52] * 200, **load)
    wanted = call(tiny_random, [60] * 150, load=_LOAD | load, max_tokens=150)
    for _ in range(20):  # until it is still running when the session is there
        unload()
        with open_local(wanted, patient()) as stream:
            events = [next(stream)]
            restored = restore(tiny_random, path, **load)
            running = loaded_models()[0].active
            events += stream
        if running:
            break
    assert (running, restored) == (1, 207)
    text = "".join(event.text for event in events if isinstance(event, LocalToken))
    assert text == run(call(tiny_random, [60] * 150, load=_LOAD | load, max_tokens=150)).text


# Beside other calls


def test_running_answers_go_on(tiny_random: Path, path: Path) -> None:
    prompts = [[50 + number] * 20 for number in range(8)]
    expected = [
        run(call(tiny_random, prompt, max_tokens=200, load={"prefix_cache": False})).text
        for prompt in prompts
    ]
    with ThreadPoolExecutor(8) as threads:
        running = [
            threads.submit(run, call(tiny_random, prompt, max_tokens=200)) for prompt in prompts
        ]
        for _ in range(10):
            save(tiny_random, path)
            restore(tiny_random, path)
        assert [each.result().text for each in running] == expected


def test_what_runs_is_left_out(tiny_random: Path, path: Path) -> None:
    with open_local(call(tiny_random, _STORY, max_tokens=500), patient()) as stream:
        next(stream)
        assert save(tiny_random, path) == 0
    ask(tiny_random, [50] * 20)  # the one before is broken off by now
    assert save(tiny_random, path) > 100


def test_a_model_that_is_being_loaded(tiny_random: Path, path: Path) -> None:
    count = saved(tiny_random, path, _STORY)
    with ThreadPoolExecutor(6) as threads:
        restoring = [threads.submit(restore, tiny_random, path) for _ in range(3)]
        calls = [threads.submit(ask, tiny_random, [50 + number] * 20) for number in range(3)]
        assert [each.result() for each in restoring] == [count] * 3
        assert [each.result()[1] for each in calls] == [0, 0, 0]
    assert ask(tiny_random, _STORY)[1] == 99


def test_saving_waits_for_loading(tiny_random: Path, path: Path) -> None:
    with open_local(call(tiny_random, _STORY, max_tokens=8), patient()) as stream:
        assert save(tiny_random, path) == 0
        list(stream)


def test_many_threads_and_unloading() -> None:
    story = """
        import sys, tempfile, threading
        from pathlib import Path
        from llmroute import load_session, save_session, text_completion, unload
        from llmroute.errors import ModelUnloadedError, NotFoundError
        from llmroute.testing.tiny_gguf import write_random

        folder = Path(tempfile.mkdtemp())
        model = f"llamacpp/{write_random(folder / 'model.gguf')}"
        path = folder / "saved.session"
        text_completion(model, "Once upon a time", max_tokens=4)
        save_session(model, path)

        def work(number):
            for turn in range(8):
                try:
                    if number == 0: unload()
                    elif number < 3: save_session(model, path)
                    elif number < 5: load_session(model, path)
                    else: text_completion(model, f"Once {number}" * 10, max_tokens=20)
                except (ModelUnloadedError, NotFoundError): pass

        threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(p.name for p in folder.iterdir()) == ["model.gguf", "saved.session"]
        load_session(model, path)
        print("done")
    """
    assert told(story) == "done"


# Files


def test_only_the_owner_may_read_it(tiny_random: Path, path: Path) -> None:
    path.touch(0o644)
    saved(tiny_random, path, _STORY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_no_model_is_overwritten(tiny_random: Path, tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.gguf")
    before = model.read_bytes()
    ask(model, _STORY)
    with pytest.raises(SessionFileError, match="is no saved session"):
        save(model, model)
    assert model.read_bytes() == before


@pytest.mark.parametrize("name", ["missing/saved.session", "nul\0"])
def test_where_no_file_can_be(tiny_random: Path, tmp_path: Path, name: str) -> None:
    ask(tiny_random, _STORY)
    with pytest.raises(SessionFileError, match="cannot be written") as caught:
        save(tiny_random, tmp_path / name)
    assert caught.value.model == f"llamacpp/{tiny_random}"
    assert os.listdir(tmp_path) == []


def test_a_session_that_fails_to_be_saved_leaves_the_one_before(
    tiny_random: Path, path: Path
) -> None:
    saved(tiny_random, path, _STORY)
    before = path.read_bytes()
    with pytest.raises(ModelUnloadedError):
        _save_half(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def _save_half(path: Path) -> None:
    with read_session(path) as file, write_session(path, {}) as writer:
        writer.add(next(file.sequences()))
        raise ModelUnloadedError("just now")


def test_a_file_that_is_not_there(tiny_random: Path, path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"saved\.session"):
        restore(tiny_random, path)
    with pytest.raises(SessionFileError, match="no regular file"):
        restore(tiny_random, path.parent)
    assert loaded_models() == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no saved session"),
        (b"GGUF" * 100, "is no saved session"),
        (b"llmroute-session", "is cut off"),
        (b"llmroute-session\3\0\0\0", "version 3"),
        (b"llmroute-session\2\0\0\0", "is cut off"),
        (b"llmroute-session\2\0\0\0" + b"\xff" * 100, "is cut off"),
    ],
)
def test_what_is_no_session(tiny_random: Path, path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SessionFileError, match=problem):
        restore(tiny_random, path)


def test_a_file_that_was_cut_off(tiny_random: Path, path: Path) -> None:
    saved(tiny_random, path, _STORY, [50] * 20)
    whole = path.read_bytes()
    # 44 bytes before the end is where the last part begins.
    for length in [*range(1, 44, 7), len(whole) // 3, len(whole) - 44, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(SessionFileError):
            restore(tiny_random, path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(SessionFileError):
        restore(tiny_random, path)
    assert ask(tiny_random, _STORY)[1] == 0  # nothing of it was used


def test_flipped_bits(tiny_random: Path, path: Path) -> None:
    story = """
        import random, sys
        from llmroute import load_session, text_completion
        from llmroute.errors import SessionFileError

        model, path = "llamacpp/" + sys.argv[1], sys.argv[2]
        rng = random.Random(5)
        whole = open(path, "rb").read()
        asked = {"max_tokens": 8, "temperature": 0, "model_kwargs": {"n_threads": 1}}
        before = text_completion(model, "Once upon a time", **asked).text
        refused = 0
        for number in range(200):
            raw = bytearray(whole)
            # Half of them where the file says what it holds.
            raw[rng.randrange(1500 if number % 2 else len(raw))] ^= 1 << rng.randrange(8)
            open(path, "wb").write(raw)
            try:
                load_session(model, path, n_threads=1)
            except SessionFileError:
                refused += 1
        assert text_completion(model, "Once upon a time", **asked).text == before
        open(path, "wb").write(whole)
        print(refused, load_session(model, path, n_threads=1))
    """
    count = saved(tiny_random, path, _STORY, [50] * 20)
    assert told(story, tiny_random, path) == f"200 {count}"


# What a session belongs to


def test_of_another_model(tiny_random: Path, tmp_path: Path, path: Path) -> None:
    saved(tiny_random, path, _STORY)
    other = write_random(tmp_path / "other.gguf", seed=1)
    assert other.stat().st_size == tiny_random.stat().st_size
    expected = ask(other, _STORY)
    with pytest.raises(SessionFileError, match="another model"):
        restore(other, path)
    assert ask(other, _STORY) == (expected[0], 99)


def test_of_a_copy_of_the_model(tiny_random: Path, tmp_path: Path, path: Path) -> None:
    count = saved(tiny_random, path, _STORY)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_random.read_bytes())
    assert restore(copy, path) == count


@pytest.mark.parametrize(
    "load",
    [
        {"type_k": "q8_0"},
        {"flash_attn": True},
        {"type_v": "q8_0", "flash_attn": True},
        {"rope_freq_base": 5000.0},
        {"rope_freq_scale": 0.5},
        {"swa_full": True},
        {"rope_scaling_type": "linear"},
        {"yarn_orig_ctx": 64},
        {"kv_overrides": {"llama.rope.freq_base": 5000.0}},
    ],
    ids=str,
)
def test_of_other_options(tiny_random: Path, path: Path, load: dict[str, Any]) -> None:
    saved(tiny_random, path, _STORY)
    with pytest.raises(SessionFileError, match=next(iter(load))):
        restore(tiny_random, path, **load)
    assert ask(tiny_random, _STORY, **load)[1] == 0


def test_of_a_model_without_the_adapter(tiny_random: Path, tmp_path: Path, path: Path) -> None:
    load = {"lora_path": str(write_lora(tmp_path / "lora.gguf"))}
    count = saved(tiny_random, path, _STORY, **load)
    with pytest.raises(SessionFileError, match="lora_path"):
        restore(tiny_random, path)
    with pytest.raises(SessionFileError, match="lora_scale"):
        restore(tiny_random, path, **load, lora_scale=0.5)
    assert restore(tiny_random, path, **load) == count


def test_of_another_release(tiny_random: Path, path: Path) -> None:
    saved(tiny_random, path, _STORY)
    rewritten(path, **{"llama-cpp-python": "0.2.0"})
    with pytest.raises(SessionFileError, match=r"llama-cpp-python '0\.2\.0'"):
        restore(tiny_random, path)


@pytest.mark.parametrize("n_ctx", [200, 4096])
def test_another_context_window_is_no_matter(tiny_random: Path, path: Path, n_ctx: int) -> None:
    count = saved(tiny_random, path, _STORY)
    assert restore(tiny_random, path, n_ctx=n_ctx) == count
    expected = ask(tiny_random, _STORY, prefix_cache=False)[0]
    assert ask(tiny_random, _STORY, n_ctx=n_ctx) == (expected, 99)


def test_positions_of_a_longer_context_are_others(tmp_path: Path, path: Path) -> None:
    factors = Tensor("rope_factors_long.weight", (4,), array("f", [1.0] * 4))
    fields = {"general.architecture": "phi3", "phi3.rope.scaling.original_context_length": 4096}
    header = read_any_header(write_gguf(tmp_path / "long.gguf", fields, [factors]))
    assert not _is_extended([header], 4096)
    assert _is_extended([header], 4097)


def test_a_state_that_llama_cpp_does_not_take(tiny_random: Path, path: Path) -> None:
    """Flash attention lays the values out another way, which nothing but llama.cpp notices here."""
    saved(tiny_random, path, [50] * 20, _STORY, flash_attn=True)
    rewritten(path, flash_attn=None)
    ask(tiny_random, [60] * 20)
    with pytest.raises(InternalServerError, match="V transposition"):
        restore(tiny_random, path)
    assert ask(tiny_random, [60] * 20)[1] == 19
    for number in range(12):  # no sequence and no cell is lost
        ask(tiny_random, [60 + number] * 150)
    assert save(tiny_random, path) > 4 * 150


def test_quantised_caches(tiny_random: Path, path: Path) -> None:
    load = {"flash_attn": True, "type_k": "q8_0", "type_v": "q4_0"}
    assert saved(tiny_random, path, _STORY, **load) == 107
    first = path.stat().st_size
    assert restore(tiny_random, path, **load) == 107
    assert save(tiny_random, path, **load) == 107
    assert path.stat().st_size == first
    assert ask(tiny_random, _STORY, **load)[1] == 99


def test_images(tiny_random: Path, tmp_path: Path, path: Path) -> None:
    load = _LOAD | {"mmproj": str(write_mmproj(tmp_path / "mmproj.gguf"))}

    def look(color: Any) -> tuple[str, int]:
        messages = asking("See ", part(png(color)), "What is it?")
        answer = completion(
            f"llamacpp/{tiny_random}", messages, temperature=0, max_tokens=8, model_kwargs=load
        )
        return answer.text, answer.usage.prompt_tokens_details.cached_tokens

    red = look(RED)[0]
    save_session(str(tiny_random), path, **load)
    unload()
    load_session(str(tiny_random), path, **load)
    text, cached = look(RED)
    assert text == red
    assert cached > IMAGE_TOKENS
    assert look(BLUE)[1] < IMAGE_TOKENS
    load["mmproj"] = str(write_mmproj(tmp_path / "other.gguf", seed=1))
    with pytest.raises(SessionFileError, match="mmproj"):
        load_session(str(tiny_random), path, **load)


# Models that have none


def test_a_model_that_is_not_loaded(tiny_random: Path, path: Path) -> None:
    with pytest.raises(NotFoundError, match="not loaded"):
        save(tiny_random, path)
    ask(tiny_random, _STORY)
    with pytest.raises(NotFoundError, match="model_kwargs"):
        save(tiny_random, path, n_ctx=300)
    assert not path.exists()


@pytest.mark.parametrize("load", [{"prefix_cache": False}, {"embeddings": True}], ids=str)
@pytest.mark.parametrize("operation", [save, restore])
def test_a_model_that_keeps_nothing(
    tiny_random: Path, path: Path, load: dict[str, Any], operation: Callable[..., int]
) -> None:
    saved(tiny_random, path, _STORY)
    before = path.read_bytes()
    warm_up(str(tiny_random), **_LOAD | load)
    with pytest.raises(UnsupportedOperationError, match=next(iter(load))):
        operation(tiny_random, path, **load)
    assert path.read_bytes() == before


@pytest.mark.parametrize("load", [{}, {"swa_full": True}, {"n_parallel": 1}], ids=str)
def test_layers_with_a_sliding_window(tmp_path: Path, path: Path, load: dict[str, Any]) -> None:
    model = write_random(tmp_path / "windowed.gguf", window=32)
    load = {"n_batch": 32, "n_ctx": 2048} | load
    rng = random.Random(5)
    system, *rests = ([rng.randrange(40, 90) for _ in range(150)] for _ in range(5))
    saved(model, path, *([*system, *rest] for rest in rests[:3]), **load)
    # The system prompt counts for each: here it is in each sequence of the file.
    assert restore(model, path, **load) == 3 * 307
    for prompt, cached in (
        ([*system, *rests[2], 91], 292),  # shortly before that prompt ended
        ([*system, *rests[3]], 150),  # where the first two parted
        ([*system, *rests[0][:100], 92], 150),
        ([*system[:90], 93], 0),
    ):
        assert ask(model, prompt, **load) == (
            ask(model, prompt, **load, prefix_cache=False)[0],
            cached,
        )


@pytest.mark.slow
@pytest.mark.skipif(not REAL_MODEL, reason="LLMROUTE_TEST_MODEL is not set")
def test_a_real_model_with_a_sliding_window(path: Path) -> None:
    model, load = Path(REAL_MODEL), {"n_ctx": 4096}
    tale = "The king had three sons, and each of them went out to find the bird. " * 100
    first = [2, *token_ids(model, tale)[:1400]]
    saved(model, path, first, [2, *token_ids(model, "Once upon a time")], **load)
    restore(model, path, **load)
    for added in (" Chapter two.", " Chapter three."):
        prompt = [*first, *token_ids(model, added)]
        asked: dict[str, Any] = {"max_tokens": 1, "logprobs": 0}
        kept = run(call(model, prompt, load=_LOAD | load, **asked))
        anew = run(call(model, prompt, load=_LOAD | load | {"prefix_cache": False}, **asked))
        assert kept.usage is not None
        assert kept.usage.cached_tokens >= 1390
        assert kept.logprobs[0][0].logprob == pytest.approx(anew.logprobs[0][0].logprob, abs=0.3)
        assert kept.logprobs[0][0].token == anew.logprobs[0][0].token


def test_random_sessions(tiny_random: Path, path: Path) -> None:
    """Saved and restored in the middle of mixed prompts, every answer is as without."""
    rng = random.Random(3)
    trunks = [[rng.randrange(40, 90) for _ in range(150)] for _ in range(3)]
    cases = [
        [*rng.choice(trunks)[: rng.choice([5, 90, 150])], *rng.choices(range(40, 90), k=k)]
        for k in (1, 2, 10, 60)
        for _ in range(5)
    ]
    alone = [ask(tiny_random, case, prefix_cache=False)[0] for case in cases]
    load = {"n_ctx": 700, "n_batch": 48}

    def work(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(10):
            number = own.randrange(len(cases))
            assert ask(tiny_random, cases[number], **load)[0] == alone[number]

    with ThreadPoolExecutor(5) as threads:
        working = [threads.submit(work, seed) for seed in range(4)]
        for _ in range(20):
            save(tiny_random, path, **load)
            restore(tiny_random, path, **load)
        for each in working:
            each.result()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are not files here")
@pytest.mark.parametrize("kind", ["pipe", "link", "link to nothing", "folder", "device"])
def test_sessions_are_regular_files(tiny_random: Path, tmp_path: Path, kind: str) -> None:
    """Anything else is left as it is, and nobody waits for it."""
    path, target = tmp_path / "special", tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/fd/0") if not Path("/dev/null").exists() else _null_of_its_own(path)
    else:
        if kind == "link":
            target.write_bytes(b"")
        path.symlink_to(target)
    before = os.lstat(path)
    run(call(tiny_random, "Once", max_tokens=2))
    for use in (save_session, load_session):
        with pytest.raises(SessionFileError, match=r"is (a link|no regular file)"):
            use(str(tiny_random), path, n_threads=1)
    assert os.lstat(path).st_mode == before.st_mode
    assert not target.exists() or not target.read_bytes()


def _null_of_its_own(path: Path) -> Path:
    """A device like /dev/null; the system's own where no other can be made."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:  # then it cannot be replaced either
        return Path("/dev/null")
    return path


@pytest.mark.parametrize("name", ["a" * 5000, "a\ud800", "s\0"])
def test_sessions_with_names_that_no_file_has(tiny_random: Path, name: str) -> None:
    run(call(tiny_random, "Once", max_tokens=2))
    for use in (save_session, load_session):
        with pytest.raises((SessionFileError, NotFoundError)):
            use(str(tiny_random), name, n_threads=1)
