"""Images that would end a process or write to its stderr: each story in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from llmroute.testing.tiny_mmproj import write_mmproj

pytest.importorskip("llama_cpp")
pytestmark = pytest.mark.native

_PRELUDE = """
import asyncio, random, sys, threading, warnings
from llmroute import acompletion, completion
from llmroute.errors import *
from llmroute.local_models import unload
from pngs import *

MODEL, LOAD = "llamacpp/" + sys.argv[1], {"mmproj": sys.argv[2], "n_threads": 1}

def ask(*content, **options):
    return completion(MODEL, asking(*content), model_kwargs=LOAD, temperature=0, max_tokens=5,
                      **options).choices[0].message.content

warnings.filterwarnings("ignore", "A model is loaded once more")
RED_ANSWER = ask("What?", part(png(RED)))
"""

STORIES = {
    "images with flipped and missing bytes": """
        rng = random.Random(1)
        sound = 0
        for number in range(400):
            image = bytearray(png(RED, 1 + number % 40, 1 + number % 7))
            for _ in range(rng.randrange(4)):
                image[rng.randrange(len(image))] ^= 1 << rng.randrange(8)
            del image[rng.randrange(1, 2 * len(image)):]
            try:
                ask("What?", part(bytes(image)))
                sound += 1
            except BadRequestError:
                pass
        assert 20 < sound < 400, sound
        print(ask("What?", part(png(RED))) == RED_ANSWER)
    """,
    "media markers in every text": """
        for text in ("<__media__>", "<__image__>", "<image>", "[IMG]"):
            ask(text * 3, part(png(RED)), text)
            completion(MODEL, text, model_kwargs=LOAD, max_tokens=2)
        print(ask("What?", part(png(RED))) == RED_ANSWER)
    """,
    "unloading while an image is read": """
        def many():
            try:
                ask("What?", *(part(png((n, 0, 0), 900, 900)) for n in range(50)))
            except ServiceUnavailableError:
                pass
        threads = [threading.Thread(target=many) for _ in range(3)]
        for thread in threads:
            thread.start()
        unload()
        for thread in threads:
            thread.join()
        print(ask("What?", part(png(RED))) == RED_ANSWER)
    """,
    "a cancelled wait_for followed by a call": """
        images = [part(png((n, 0, 0), 900, 900)) for n in range(50)]
        async def main():
            try:
                await asyncio.wait_for(
                    acompletion(MODEL, asking("W", *images), model_kwargs=LOAD), 0.05
                )
            except TimeoutError:
                pass
            answer = await acompletion(
                MODEL, asking("What?", part(png(RED))), model_kwargs=LOAD, temperature=0,
                max_tokens=5)
            return answer.choices[0].message.content
        print(asyncio.run(main()) == RED_ANSWER)
    """,
    "exit while an image is read": """
        stream = completion(MODEL, asking("What?", part(png(RED))), model_kwargs=LOAD, stream=True,
                            max_tokens=1000)
        next(stream)
        print(True)
    """,
    "encoders with settings that do not fit": """
        from llmroute.testing.tiny_mmproj import write_mmproj
        for number, (name, value) in enumerate([
            ("image_size", 0), ("image_size", 1), ("image_size", 7), ("image_size", 2**31 - 1),
            ("patch_size", 0), ("patch_size", 7), ("patch_size", 2**32 - 1),
            ("embedding_length", 1), ("embedding_length", 7), ("embedding_length", 2**31 - 1),
            ("attention.head_count", 0), ("attention.head_count", 7),
            ("attention.head_count", 2**31 - 1), ("block_count", 2**32 - 1),
            ("attention.layer_norm_epsilon", -1.0), ("image_std", [0.5]), ("image_mean", []),
            ("attention.layer_norm_epsilon", float("nan")),
        ]):
            path = f"{sys.argv[2]}.{number}"
            write_mmproj(path, metadata={"clip.vision." + name: value})
            LOAD["mmproj"] = path
            try:
                print("taken", name, value, ask("What?", part(png(RED))))
            except ModelFileError:
                pass
        LOAD["mmproj"] = sys.argv[2]
        print(ask("What?", part(png(RED))) == RED_ANSWER)
    """,
    "encoders over which llama.cpp ends the process": """
        from llmroute.testing.tiny_mmproj import write_mmproj
        projector = "clip.projector_type"
        for number, (metadata, shapes) in enumerate([
            ({projector: "qwen2vl_merger"}, {}),
            ({projector: "qwen3vl_merger"}, {}),
            ({projector: "yasa2"}, {}),
            ({"clip.use_gelu": 1}, {}),
            ({"clip.has_audio_encoder": [0]}, {}),
            ({"clip.vision.projection_dim": [64]}, {}),
            ({}, {"mm.0.weight": (32, 2)}),
            ({}, {"mm.2.bias": None}),
            ({}, {"v.blk.0.attn_q.weight": None}),
            ({}, {"v.blk.0.attn_k.weight": (32, 7)}),
            ({}, {"v.blk.0.ffn_up.weight": (64, 32)}),
            ({}, {"v.class_embd": (32, 3)}),
        ]):
            LOAD["mmproj"] = f"{sys.argv[2]}.{number}"
            write_mmproj(LOAD["mmproj"], metadata=metadata, shapes=shapes)
            try:
                print("taken", metadata, shapes, ask("What?", part(png(RED))))
            except ModelFileError as error:
                assert "llama.cpp ends over it" in error.message, error.message
        LOAD["mmproj"] = sys.argv[2]
        print(ask("What?", part(png(RED))) == RED_ANSWER)
    """,
    "encoders with flipped bits in the header": """
        whole = open(sys.argv[2], "rb").read()
        rng = random.Random(2)
        refused = 0
        for number in range(60):
            damaged = bytearray(whole)
            for _ in range(3):
                damaged[rng.randrange(24, 3000)] ^= 1 << rng.randrange(8)
            path = f"{sys.argv[2]}.{number}"
            open(path, "wb").write(damaged)
            LOAD["mmproj"] = path
            try:
                ask("What?", part(png(RED)))
            except (ModelFileError, InternalServerError, BadRequestError):
                refused += 1
            unload()
        LOAD["mmproj"] = sys.argv[2]
        print(refused > 0 and ask("What?", part(png(RED))) == RED_ANSWER)
    """,
}


@pytest.mark.parametrize("name", STORIES)
def test_the_process_lives_and_its_stderr_stays_empty(
    name: str, tiny_random: Path, tmp_path: Path
) -> None:
    encoder = write_mmproj(tmp_path / "mmproj.gguf")
    root = Path(__file__).parents[3]
    story = _PRELUDE + textwrap.dedent(STORIES[name])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", story, str(tiny_random), str(encoder)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": ""},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "True"
