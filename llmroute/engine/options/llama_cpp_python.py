"""Arguments of llama-cpp-python's `Llama` that are no load options here, and why.

All others are, under the same name. Compared with llama-cpp-python 0.3.36.
"""

from __future__ import annotations

_ANY = object()
_NEUTRAL: dict[str, object] = {
    "verbose": _ANY,  # llama.cpp's log goes to Python's logging
    "logits_all": _ANY,  # log probabilities need no preparation
    "no_perf": _ANY,  # nothing is timed
    "vocab_only": False,
    "last_n_tokens_size": 64,
    "attention_type": -1,
}
"""Names, with the value that changes nothing here."""

INSTEAD = {
    "model_path": "The model string names the file: 'llamacpp//models/llama.gguf'.",
    "seed": "Pass seed= with each call.",
    "last_n_tokens_size": "Leave it out: penalties look at the last 64 tokens.",
    "chat_format": "Pass it as chat_template= with each call: this name, or a Jinja template.",
    "chat_handler": "Pass the handler's name as chat_handler_name, and its file as mmproj.",
    "tokenizer": "Leave it out: the tokenizer is the one in the model's file.",
    "lora_base": "Leave it out: an adapter is applied to the model itself, quantised or not.",
    "vocab_only": "Leave it out: counting tokens loads no weights.",
    "attention_type": "Leave it out: the model's file says how it attends.",
}
"""What to do instead, for each name that is refused."""


def is_neutral(name: str, value: object) -> bool:
    """Whether an argument may be ignored, as it changes nothing here."""
    if name not in _NEUTRAL:
        return False
    neutral = _NEUTRAL[name]
    return neutral is _ANY or (type(value) is type(neutral) and value == neutral)
