"""How the next token is chosen: the parameters of a request, checked before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadRequestError, UnsupportedOperationError, UnsupportedParamsError
from ..checks import Check, bad, integer, number, switch
from . import form

_MAX_CHOICES = 128
_MAX_TOP_LOGPROBS = 20
_ALIASES = {"max_completion_tokens": "max_tokens", "repetition_penalty": "repeat_penalty"}
_NOT_SAMPLING = form.PARAMS | {
    *("chat_template", "chat_template_kwargs", "logprobs", "reasoning_effort", "suffix")
}
"""Read elsewhere: by the prompt, or below by a rule of their own."""
_OTHER_OPERATIONS = {
    "functions": "tools",
    "function_call": "tools",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The sampling parameters of one request. Defaults are those of llama.cpp's own programs."""

    max_tokens: int | None = None
    """The most tokens to generate; `None`, or a number below 0, means until the context window is
    full."""
    n: int = 1
    """Answers per prompt."""
    best_of: int | None = None
    """Answers generated per prompt, of which the `n` likeliest are given; `None` means `n`."""
    temperature: float = 0.8
    """0 takes the likeliest token always."""
    top_k: int = 40
    """Choose among this number of the likeliest tokens; 0 means all."""
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    """Divides the logits of tokens among the last 64 of prompt and answer; 1 is off."""
    frequency_penalty: float = 0.0
    """Taken off a token's logit for each time the answer already has it."""
    presence_penalty: float = 0.0
    """Taken off a token's logit once if the answer already has it."""
    mirostat: int = 0
    """1 or 2 chooses by Mirostat instead of top_k, top_p, min_p and typical_p."""
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logits of tokens, by token id."""
    ignore_eos: bool = False
    """Never end an answer before `max_tokens`."""
    seed: int | None = None
    """The same seed gives the same answer; `None` takes one from the system."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these texts."""
    logprobs: int | None = None
    """How many of the likeliest tokens to tell besides the chosen one's log probability; `None`
    tells nothing."""
    echo: bool = False
    """Begin the text with the prompt. With `logprobs`, its tokens' are told too."""
    form: form.Form = field(default_factory=form.Form)
    """What the answer must look like."""

    @property
    def candidates(self) -> int:
        """Answers generated per prompt."""
        return self.best_of or self.n

    @property
    def chooses(self) -> bool:
        """Whether more answers are generated than given, so that each one's likelihood matters."""
        return self.candidates > self.n

    @property
    def scores_prompt(self) -> bool:
        """Whether the log probabilities of the prompt's tokens are wanted."""
        return self.echo and self.logprobs is not None

    @classmethod
    def parse(cls, params: Mapping[str, Any], operation: str = "text") -> Sampling:
        """The parameters from what a caller wrote.

        Raises `UnsupportedParamsError` for an unknown name, or one that is not for this operation
        or not beside others, `UnsupportedOperationError` for one that belongs to something this
        engine does not do, `BadRequestError` for a bad value.
        """
        values: dict[str, Any] = {}
        for written, value in params.items():
            name = _ALIASES.get(written, written)
            if value is None or name in _NOT_SAMPLING:
                continue
            if name not in _CHECKS:
                raise _unknown(written)
            values[name] = _CHECKS[name](written, value)
        values["logprobs"] = _logprobs(params, values.pop("top_logprobs", None))
        sampling = cls(**values, form=form.Form.parse(params))
        if sampling.candidates < sampling.n:
            raise bad("best_of", f"must be at least n ({sampling.n}), not {sampling.best_of}")
        _check_together(sampling, operation, fills_in=bool(params.get("suffix")))
        return sampling


def _check_together(sampling: Sampling, operation: str, *, fills_in: bool) -> None:
    """Raises `UnsupportedParamsError` for parameters that have no meaning here."""
    if operation != "text" and (sampling.chooses or fills_in):
        name = "best_of" if sampling.chooses else "suffix"
        raise UnsupportedParamsError(
            f"llamacpp takes {name} for text completions only. Leave it out.", param=name
        )
    if sampling.scores_prompt and (operation == "chat" or fills_in):
        where = "of a chat" if operation == "chat" else "beside suffix"
        raise UnsupportedParamsError(
            f"llamacpp cannot tell the prompt's log probabilities {where}: leave out echo or "
            "logprobs.",
            param="echo",
        )


def _logprobs(params: Mapping[str, Any], top: int | None) -> int | None:
    """One meaning for two spellings: chat's switch with `top_logprobs`, and text's number."""
    asked = params.get("logprobs")
    if asked is None or asked is False:
        if top is not None:
            raise bad("top_logprobs", "needs logprobs=True")
        return None
    if asked is True:
        return top or 0
    return int(integer(0, _MAX_TOP_LOGPROBS)("logprobs", asked))


def _unknown(name: str) -> BadRequestError:
    if name in _OTHER_OPERATIONS:
        return UnsupportedOperationError(
            f"llamacpp: {_OTHER_OPERATIONS[name]} are not supported yet, so it does not take "
            f"{name!r}. Leave it out.",
            param=name,
        )
    return UnsupportedParamsError(f"llamacpp does not take {name!r}.", param=name)


def _max_tokens(name: str, value: object) -> int | None:
    """A number below 0 is llama.cpp's way to say: no limit."""
    if type(value) is int and value < 0:
        return None
    limit: int = integer(0, 2**31 - 1)(name, value)
    return limit


def _stop(name: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise bad(name, f"must be a text or a list of texts, not {value!r}")
    return tuple(text for text in texts if text)


def _logit_bias(name: str, value: object) -> dict[int, float]:
    if not isinstance(value, Mapping):
        raise bad(name, f"must be an object of token ids and numbers, not {value!r}")
    biases = {}
    for key, bias in value.items():
        try:
            token = int(key)
        except (TypeError, ValueError):
            raise bad(name, f"must have token ids as keys, not {key!r}") from None
        biases[token] = number(-math.inf, 1e6)(f"{name}[{key}]", bias)
    return biases


_CHECKS: dict[str, Check] = {
    "max_tokens": _max_tokens,
    "n": integer(1, _MAX_CHOICES),
    "best_of": integer(1, _MAX_CHOICES),
    "temperature": number(0, 100),
    "top_k": integer(-1, 2**31 - 1),
    "top_p": number(0, 1),
    "min_p": number(0, 1),
    "typical_p": number(0, 1),
    "repeat_penalty": number(1e-3, 1e3),
    "frequency_penalty": number(-100, 100),
    "presence_penalty": number(-100, 100),
    "mirostat": integer(0, 2),
    "mirostat_tau": number(0, 1e3),
    "mirostat_eta": number(0, 1),
    "logit_bias": _logit_bias,
    "ignore_eos": switch,
    "seed": integer(-(2**63), 2**64 - 1),
    "stop": _stop,
    "top_logprobs": integer(0, _MAX_TOP_LOGPROBS),
    "echo": switch,
}
