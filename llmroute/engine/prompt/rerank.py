"""The prompts of a model that ranks: the query with each of the documents."""

from __future__ import annotations

import re

from ...providers.base import LocalCall
from ..gguf.header import GGUFHeader
from ..vocabulary.vocabulary import Vocabulary
from .prompt import Prompt


def rank_prompts(call: LocalCall, vocabulary: Vocabulary, header: GGUFHeader) -> list[Prompt]:
    """One prompt for each document.

    By the file's own template for that, else as encoders are trained: the query, the document, and
    the vocabulary's tokens between and behind them.
    """
    query, documents = call.prompt
    template = header.chat_templates.get("rerank")
    if template is None:
        asked = vocabulary.tokenize(query, add_special=False, parse_special=False)
        return [_pair(asked, document, vocabulary) for document in documents]
    return [_rendered(template, query, document, vocabulary) for document in documents]


def _pair(query: list[int], document: str, vocabulary: Vocabulary) -> Prompt:
    marks = vocabulary.around_texts
    found = vocabulary.tokenize(document, add_special=False, parse_special=False)
    tokens = [*marks.begin, *query, *marks.end, *marks.between, *found, *marks.end]
    return Prompt(tokens, document)


def _rendered(template: str, query: str, document: str, vocabulary: Vocabulary) -> Prompt:
    texts = {"{query}": query, "{document}": document}
    tokens: list[int] = []
    for part in re.split(r"(\{query\}|\{document\})", template):
        tokens += vocabulary.tokenize(
            texts.get(part, part), add_special=False, parse_special=part not in texts
        )
    return Prompt(tokens, document)
