"""Answers with drafts beside the same answers without: tokens a second, and how many were drafted.

    python benchmarks/drafts.py MODEL.gguf [--tokens 128] [--rounds 3] [--threads N]

With and without take turns, and what is told are tokens a second of processor time, which other
work on the machine disturbs less than the clock; what counts are the ratios. With more than one
thread they are rough, as threads wait for each other busily. Prompt lookup runs on the given model,
with texts that repeat what is in the prompt and one that does not. A draft model needs two that
agree; here they are tiny ones made for it: a deep one and a shallow one that say the same, and two
deep ones, of which one cannot help the other.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llmroute.providers.base import LocalCall, LocalUsage
from llmroute.testing.tiny_gguf import write_scripted
from llmroute.transport.limits import Limits
from llmroute.transport.local import open_local
from llmroute.types.request import TimeLimits

_NEWS = (
    "The harbour of Lindau was quiet that morning. Three fishermen mended their nets beside the "
    "old lighthouse, and a child counted the gulls on the roof of the customs house. At nine "
    "o'clock the ferry from Bregenz came in with twelve passengers, two bicycles and a crate of "
    "apples. Nobody noticed the woman in the green coat who walked straight to the post office, "
    "bought a single stamp, and left again without a word."
)
_CODE = (
    'def add(a, b):\n    """Return the sum."""\n    return a + b\n\ndef subtract(a, b):\n    '
    '"""Return the difference."""\n    return a - b\n\ndef multiply(a, b):\n'
)
_PROMPTS: dict[str, tuple[str, float]] = {
    "repeat a text": (f"{_NEWS}\n\nThe same again:\n{_NEWS[:45]}", 0.0),
    "go on with code": (_CODE, 0.0),
    "extract": (f"{_NEWS}\n\nQuestion: What happened at nine o'clock?\nAnswer: At nine", 0.8),
    "a free story": ("Once upon a time there was a king who", 0.8),
}
_AT_ONCE = (1, 4)
_WORDS = " ".join(f"word{number}" for number in range(200))


def rate(model: str, prompt: str, at_once: int, load: dict[str, Any], args: Any) -> list[float]:
    """Tokens a second of processor time, tokens accepted and tokens rejected."""

    def ask(number: int) -> LocalUsage:
        temperature = args.temperature
        params = {"max_tokens": args.tokens, "temperature": temperature, "seed": args.seed + number}
        wanted = LocalCall(model, "text", prompt, params | {"ignore_eos": True}, load)
        (usage,) = (
            e for e in open_local(wanted, Limits.begin(TimeLimits())) if isinstance(e, LocalUsage)
        )
        return usage

    begun = time.process_time()
    with ThreadPoolExecutor(at_once) as threads:
        usages = list(threads.map(ask, range(at_once)))
    seconds = time.process_time() - begun
    return [
        sum(usage.completion_tokens for usage in usages) / seconds,
        sum(usage.accepted_tokens for usage in usages),
        sum(usage.rejected_tokens for usage in usages),
    ]


def compare(what: str, model: str, prompt: str, draft_model: str, args: Any) -> None:
    """Rounds in turns, and a line of what came of them."""
    plain = {"n_ctx": 4096, "n_threads": args.threads}
    for at_once in _AT_ONCE:
        with_drafts, without = [], []
        for number in range(args.rounds + 1):  # the first one loads
            args.seed = number
            without.append(rate(model, prompt, at_once, plain, args))
            with_drafts.append(
                rate(model, prompt, at_once, plain | {"draft_model": draft_model}, args)
            )
        ratios = sorted(a[0] / b[0] for a, b in zip(with_drafts[1:], without[1:], strict=True))
        accepted, rejected = (sum(row[n] for row in with_drafts[1:]) for n in (1, 2))
        made = at_once * args.tokens * args.rounds
        print(
            f"{what:34} {at_once} at once: {statistics.median(r[0] for r in without[1:]):7.1f} -> "
            f"{statistics.median(r[0] for r in with_drafts[1:]):7.1f} tokens/s, ratios "
            f"{' '.join(f'{ratio:.2f}' for ratio in ratios)}; {accepted / made:.0%} of the tokens "
            f"drafted, {rejected / max(1, accepted + rejected):.0%} of the drafts wrong",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    for name, (prompt, args.temperature) in _PROMPTS.items():
        compare(f"prompt lookup, {name}", args.model, prompt, "prompt_lookup", args)
    args.temperature = 0.0
    with tempfile.TemporaryDirectory() as folder:
        deep = write_scripted(Path(folder, "deep.gguf"), _WORDS, loop=True, layers=48)
        same = write_scripted(Path(folder, "same.gguf"), _WORDS, loop=True)
        compare("draft model, always right", str(deep), "Go: ", str(same), args)
        twin = write_scripted(Path(folder, "twin.gguf"), _WORDS, loop=True, layers=48)
        compare("draft model, as slow as the model", str(deep), "Go: ", str(twin), args)


if __name__ == "__main__":
    main()
