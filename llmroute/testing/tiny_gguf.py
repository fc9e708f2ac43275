"""Tiny GGUF models for tests: real files for the real llama.cpp, written and loaded in no time.

`write_scripted` makes a model that says exactly one text, so a test knows the answer;
`write_random` makes one whose answer depends on every token of the prompt; `write_ranker` one that
ranks documents. All have a byte-level
vocabulary: any text goes in and any bytes come out.
"""

from __future__ import annotations

import math
import random
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from .gguf_writer import Tensor, Value, write_gguf

CHAT_TEMPLATE = """\
{%- if tools %}<|im_start|>system
Tools:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""The template both kinds of models carry unless told otherwise: ChatML with tools."""

BOS, END_OF_TURN, END_OF_TEXT = "<|begin_of_text|>", "<|im_end|>", "<|endoftext|>"
_CONTROL = (BOS, END_OF_TEXT, "<|im_start|>", END_OF_TURN)
_NORMAL_TYPE, _CONTROL_TYPE = 1, 3
_HEAD_SIZE = 32
_LOGIT = 64.0
"""Of the scripted token; all others have 0, so no sensible temperature changes the text."""


def write_random(
    path: str | PathLike[str],
    *,
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    n_ctx: int = 2048,
    add_bos: bool = False,
    window: int | None = None,
    metadata: Mapping[str, Value] | None = None,
    changes: Mapping[str, Sequence[float]] | None = None,
) -> Path:
    """Write a two-layer Llama with random weights and return its path.

    At temperature 0 its answer is a fixed function of the prompt's every token and of `seed`. It
    says only bytes, never a control token, so it does not stop by itself. `n_ctx` is the context
    length it claims to be trained for; `add_bos` puts `<|begin_of_text|>` before every prompt;
    with a `window` it is a Gemma 2 instead, whose first layer sees only so many tokens back;
    `metadata` adds to the file's metadata or replaces it; `changes` are added to the weights of the
    tensors they name, as merging a LoRA adapter does.
    """
    rng = random.Random(seed)
    merged = ["Ġt", "he", "Ġthe", "in", "er"]
    merges = ["Ġ t", "h e", "Ġt he", "i n", "e r"]
    width, feed = 64, 96
    n_vocab = len(_CONTROL) + 256 + len(merged)
    fields = _model(width, feed, heads=2, layers=2, n_ctx=n_ctx)
    fields |= _vocabulary(merged, merges, add_bos=add_bos)

    def noise(*shape: int, scale: float) -> array[float]:
        return array("f", (rng.uniform(-scale, scale) for _ in range(math.prod(shape))))

    output = noise(width, n_vocab, scale=0.6)
    output[: len(_CONTROL) * width] = array("f", bytes(4 * len(_CONTROL) * width))
    tensors = [
        Tensor("token_embd.weight", (width, n_vocab), noise(width, n_vocab, scale=1.0)),
        Tensor("output_norm.weight", (width,), _ones(width)),
        Tensor("output.weight", (width, n_vocab), output),
    ]
    shapes = [*_layer_shapes(width, feed, width, layers=2)]
    if window is not None:
        fields = {key.replace("llama.", "gemma2."): value for key, value in fields.items()}
        fields |= {"general.architecture": "gemma2", "gemma2.attention.sliding_window": window}
        # Gemma 2 reads its tokens and writes them with the same weights.
        tensors[0] = Tensor("token_embd.weight", (width, n_vocab), output)
        del tensors[2]
        # Loud enough not to be drowned by the token itself, which it would say again.
        after = [
            f"blk.{n}.post_{part}_norm.weight" for n in (0, 1) for part in ("attention", "ffw")
        ]
        tensors += [Tensor(name, (width,), array("f", [8.0]) * width) for name in after]
    for name, shape in shapes:
        data = _ones(width) if len(shape) == 1 else noise(*shape, scale=0.35)
        tensors.append(Tensor(name, shape, data))
    for tensor in tensors:
        for place, change in enumerate((changes or {}).get(tensor.name, ())):
            tensor.data[place] += change
    return write_gguf(Path(path), fields | _template(chat_template) | dict(metadata or {}), tensors)


def write_ranker(path: str | PathLike[str], *, seed: int = 0, template: str | None = None) -> Path:
    """Write a two-layer Qwen 3 with random weights that ranks documents, and return its path.

    A score depends on every token of query and document. `template` is the file's own way to write
    the two, with `{query}` and `{document}` in it.
    """
    rng = random.Random(seed)
    width, feed = 64, 96
    common = _model(width, feed, heads=2, layers=2, n_ctx=512)
    fields = {key.replace("llama.", "qwen3."): value for key, value in common.items()}
    fields |= _vocabulary([], [], add_bos=False)
    fields |= {"general.architecture": "qwen3", "qwen3.pooling_type": 4}
    # Qwen 3 weighs its answers against each other; the first one counts.
    fields |= {"qwen3.classifier.output_labels": ["yes", "no"]}
    fields |= {"tokenizer.ggml.add_eos_token": True}
    if template is not None:
        fields["tokenizer.chat_template.rerank"] = template

    def noise(*shape: int) -> array[float]:
        return array("f", (rng.uniform(-0.35, 0.35) for _ in range(math.prod(shape))))

    n_vocab = len(_CONTROL) + 256
    tensors = [
        Tensor("token_embd.weight", (width, n_vocab), noise(width, n_vocab)),
        Tensor("output_norm.weight", (width,), _ones(width)),
        Tensor("cls.output.weight", (width, 2), noise(width, 2)),
    ]
    norms = (f"blk.{n}.attn_{kind}_norm.weight" for n in range(2) for kind in "qk")
    tensors += [Tensor(name, (_HEAD_SIZE,), _ones(_HEAD_SIZE)) for name in norms]
    for name, shape in _layer_shapes(width, feed, width, layers=2):
        data = _ones(width) if len(shape) == 1 else noise(*shape)
        tensors.append(Tensor(name, shape, data))
    return write_gguf(Path(path), fields, tensors)


def write_scripted(
    path: str | PathLike[str],
    script: str | bytes,
    *,
    pieces: Sequence[str | bytes] | None = None,
    loop: bool = False,
    layers: int = 1,
    chat_template: str | None = CHAT_TEMPLATE,
    n_ctx: int = 4096,
    add_bos: bool = False,
    metadata: Mapping[str, Value] | None = None,
) -> Path:
    """Write a model that answers every prompt with exactly `script` and then stops.

    One token is one piece: `pieces` are what `script` is cut into, all different (a cut may go
    through the middle of a character); by default they are words, longer where a word comes
    again. `loop=True` starts over instead of stopping. A piece of a single byte shares its token
    with that byte in prompts, so the prompt must not end in it. `layers` make it slower, as large
    models are.

    How it works: dimension 0 of the embedding stands for every token that is not a piece and
    leads to the first one, dimension i for piece i and leads to the next; attention and
    feed-forward add nothing.

    Raises `ValueError` if the pieces repeat or don't make up `script`.
    """
    whole = script.encode() if isinstance(script, str) else script
    parts = [p.encode() if isinstance(p, str) else p for p in pieces] if pieces else _cut(whole)
    if b"".join(parts) != whole or len(set(parts)) != len(parts) or b"" in parts:
        raise ValueError("pieces must be different, not empty, and together make up the script")
    if loop and not parts:
        raise ValueError("an empty script cannot loop")
    texts = [_byte_text(part) for part in parts]
    fields = _vocabulary([text for text in texts if len(text) > 1], [], add_bos=add_bos)
    vocabulary = fields["tokenizer.ggml.tokens"]
    assert isinstance(vocabulary, list)
    ids = {text: number for number, text in enumerate(vocabulary)}
    says = [ids[text] for text in texts]

    width = max(_HEAD_SIZE, len(parts) + 1)
    fields |= _model(width, _HEAD_SIZE, heads=1, layers=layers, n_ctx=n_ctx)
    embedding = array("f", bytes(4 * width * len(ids)))
    output = array("f", bytes(4 * width * len(ids)))
    for token in range(len(ids)):
        embedding[token * width] = 1.0
    for number, token in enumerate(says, start=1):
        embedding[token * width] = 0.0
        embedding[token * width + number] = 1.0
    followers = [*says, says[0] if loop else ids[END_OF_TURN]]
    for dimension, token in enumerate(followers):
        # The norm before the output scales a one-hot vector by the root of its width.
        output[token * width + dimension] = _LOGIT / math.sqrt(width)
    tensors = [
        Tensor("token_embd.weight", (width, len(ids)), embedding),
        Tensor("output_norm.weight", (width,), _ones(width)),
        Tensor("output.weight", (width, len(ids)), output),
    ]
    for name, shape in _layer_shapes(width, _HEAD_SIZE, _HEAD_SIZE, layers=layers):
        data = _ones(width) if len(shape) == 1 else array("f", bytes(4 * math.prod(shape)))
        tensors.append(Tensor(name, shape, data))
    return write_gguf(Path(path), fields | _template(chat_template) | dict(metadata or {}), tensors)


def _cut(script: bytes) -> list[bytes]:
    """`script` in words of at least two bytes, each lengthened until it is a new one."""
    parts: list[bytes] = []
    rest = b""
    for word in re.findall(rb"\s*[^\s]+|\s+", script):
        rest += word
        if len(rest) > 1 and rest not in parts:
            parts.append(rest)
            rest = b""
    while rest and parts and (len(rest) == 1 or rest in parts):
        rest = parts.pop() + rest
    return [*parts, rest] if rest else parts


def _ones(count: int) -> array[float]:
    return array("f", [1.0]) * count


def _template(chat_template: str | None) -> dict[str, Value]:
    return {} if chat_template is None else {"tokenizer.chat_template": chat_template}


def _model(width: int, feed: int, *, heads: int, layers: int, n_ctx: int) -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.license": "mit",
        "llama.context_length": n_ctx,
        "llama.embedding_length": width,
        "llama.block_count": layers,
        "llama.feed_forward_length": feed,
        "llama.attention.head_count": heads,
        "llama.attention.key_length": _HEAD_SIZE,
        "llama.attention.value_length": _HEAD_SIZE,
        "llama.rope.dimension_count": _HEAD_SIZE,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
    }


def _layer_shapes(
    width: int, feed: int, heads_width: int, *, layers: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for layer in range(layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (width,)
        yield block + "attn_q.weight", (width, heads_width)
        yield block + "attn_k.weight", (width, heads_width)
        yield block + "attn_v.weight", (width, heads_width)
        yield block + "attn_output.weight", (heads_width, width)
        yield block + "ffn_norm.weight", (width,)
        yield block + "ffn_gate.weight", (width, feed)
        yield block + "ffn_up.weight", (width, feed)
        yield block + "ffn_down.weight", (feed, width)


def _vocabulary(extra: Sequence[str], merges: Sequence[str], *, add_bos: bool) -> dict[str, Value]:
    # llama.cpp aborts the process on duplicate texts, so callers pass different ones.
    byte_texts = [_byte_text(bytes([value])) for value in range(256)]
    tokens = [*_CONTROL, *byte_texts, *extra]
    types = [_CONTROL_TYPE] * len(_CONTROL) + [_NORMAL_TYPE] * (256 + len(extra))
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": list(merges),
        "tokenizer.ggml.bos_token_id": tokens.index(BOS),
        "tokenizer.ggml.eos_token_id": tokens.index(END_OF_TURN),
        "tokenizer.ggml.eot_token_id": tokens.index(END_OF_TURN),
        "tokenizer.ggml.add_bos_token": add_bos,
    }


def _byte_text(data: bytes) -> str:
    """`data` in the letters of GPT-2's byte-level vocabularies: a visible character for a byte."""
    return "".join(chr(_BYTE_LETTERS[value]) for value in data)


def _byte_letters() -> list[int]:
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [value if value in visible else next(spare) for value in range(256)]


_BYTE_LETTERS = _byte_letters()
