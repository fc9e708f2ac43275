"""The grammars of one model, compiled on a thread of their own."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...errors import BadRequestError
from ..grammar.compiling import compiled, problem_of
from ..vocabulary.token_table import guidance_tokens
from ..vocabulary.vocabulary import Vocabulary

_KEPT = 32
"""Compiled grammars that are kept: most callers ask for the same few again and again."""


class GrammarCompiler:
    """Compiles grammars for one vocabulary, while its model goes on with other answers."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokens: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmroute-grammars")
        self._matchers: OrderedDict[str, Future[Any]] = OrderedDict()

    def matcher(self, grammar: str) -> Future[Any]:
        """The `llguidance.LLMatcher` of a grammar (text in Lark), to be copied before it is used.

        The future raises `BadRequestError` for one that is not taken.
        """
        # Read here, as the vocabulary is not for two threads.
        self._vocabulary.control_names, self._vocabulary.ends  # noqa: B018
        found = self._matchers.pop(grammar, None) or self._thread.submit(self._compile, grammar)
        self._matchers[grammar] = found
        if len(self._matchers) > _KEPT:
            self._matchers.popitem(last=False)
        return found

    def free(self) -> None:
        """Stop, so that the vocabulary can be freed."""
        self._thread.shutdown(cancel_futures=True)
        self._matchers.clear()

    def _compile(self, grammar: str) -> Any:
        if self._tokens is None:
            self._tokens = guidance_tokens(self._vocabulary)
        matcher = compiled(grammar, self._tokens)
        if problem := problem_of(matcher):
            raise BadRequestError(
                f"llamacpp does not take this grammar: {problem}.", param="grammar"
            )
        return matcher
