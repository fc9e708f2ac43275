"""What a model is for, and which vocabulary it has, where its name or its catalogue tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiktoken.model import encoding_name_for_model

# By the first that fits. Words of names, because the catalogues have no such field.
_MODES = (
    ("rerank", r"rerank"),
    ("embedding", r"embed|\bbge-|\be5-|\bgte-|^voyage-|retriever|titan-embed|paraphrase|minilm"),
    ("moderation", r"^(omni-)?(text-)?moderation"),
    ("transcription", r"whisper|transcribe|parakeet|canary-1b|-asr\b|\bscribe\b"),
    ("speech", r"\btts\b|-tts-|orpheus|magpie|\bsonic-|cartesia|playai|eleven_"),
    ("ocr", r"\bocr\b"),
    ("image", r"dall-e|gpt-image|chatgpt-image|imagen-|\bflux|stable-diffusion|sdxl|seedream"),
    ("video", r"\bveo-|\bsora-|\bkling|seedance|cosmos-(predict|transfer)"),
    ("text", r"^(text-)?(davinci|curie|babbage|ada)\b|turbo-instruct"),
)

_OUTPUTS = {"image": "image", "video": "video", "audio": "speech"}

# Vocabularies that a family of open weights has wherever it is served.
_FAMILIES = (
    ("llama4", r"llama-?4"),
    ("llama3", r"(^|[/.])(meta-)?llama-?v?3(?![0-9])"),
    ("o200k_base", r"gpt-oss"),
)

_OPENAI = ("openai/", "azure/", "openrouter/openai/", "vercel_ai_gateway/openai/")


def mode(name: str, listed: Mapping[str, Any], prices: Mapping[str, Any]) -> str:
    """The mode of a model: by its name, else by what comes out of it, else `chat`."""
    short = name.rpartition("/")[2].lower()
    for found, words in _MODES:
        if re.search(words, short):
            return found
    outputs = listed.get("modalities", {}).get("output", ["text"])
    if "text" not in outputs:
        return next((_OUTPUTS[o] for o in outputs if o in _OUTPUTS), "chat")
    units = {unit["unit"] for unit in prices.get("units", ())}
    if "input" not in prices and "input_document_pages" in units:
        return "ocr"
    spoken = re.search(r"voice|live", short)
    if "input" not in prices and not spoken and units & {"audio_seconds", "input_audio_seconds"}:
        return "transcription"
    return "chat"


def tokenizer(name: str) -> str | None:
    """The vocabulary of a model by its whole name, where it is sure."""
    lower = name.lower()
    for found, words in _FAMILIES:
        if re.search(words, lower) and "distill" not in lower:
            return found
    for prefix in _OPENAI:
        if name.startswith(prefix):
            return _tiktoken(name.removeprefix(prefix))
    return None


def _tiktoken(name: str) -> str | None:
    try:
        found = encoding_name_for_model(name)
    except KeyError:
        return None
    return found if found in ("o200k_base", "cl100k_base") else None
