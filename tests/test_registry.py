"""What is known about models: the shipped file, look-ups, overrides in both formats."""

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import date
from pathlib import Path

import pytest

from llmroute.errors import LLMRouteError, NotFoundError
from llmroute.model_info import ModelInfo, UnitPrice
from llmroute.providers.gateways import GATEWAYS
from llmroute.registry import (
    builtin_path,
    find_model_info,
    get_model_info,
    known_models,
    local_model_info,
    register_model,
    register_resolver,
)
from llmroute.registry_check import check_registry, format_registry, main
from llmroute.registry_entries import read_entries
from llmroute.registry_file import RegistryLines
from llmroute.runtime import Runtime, use
from llmroute.testing.tiny_gguf import write_random

BUILTIN = json.loads(builtin_path().read_bytes())
TODAY = date(2026, 12, 1)


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    """A test reads the files again, and what it registers is gone after it."""
    with use(Runtime()):
        yield


def test_the_shipped_file_is_clean() -> None:
    assert check_registry(builtin_path().read_text(encoding="utf-8"), today=date.today()) == []


def test_unvalidated_look_ups_equal_validated_entries() -> None:
    for name, validated in read_entries(BUILTIN).items():
        assert get_model_info(name) == validated


def test_llama_api_models_are_known_with_their_end_and_without_prices() -> None:
    names = [name for name in known_models() if name.startswith("meta_llama/")]
    assert len(names) == 4
    for info in map(get_model_info, names):
        assert (info.max_input_tokens, info.max_output_tokens) == (128_000, 4028)
        assert (info.prices.input, info.prices.output) == (None, None)
        assert (info.status, info.retires) == ("retired", date(2026, 7, 6))
        assert info.capabilities.vision is ("Llama-4" in info.name)
        assert info.tokenizer == ("llama4" if "Llama-4" in info.name else "llama3")


def test_muse_models() -> None:
    info = get_model_info("meta/muse-spark-1.1")
    assert (info.max_input_tokens, info.max_output_tokens) == (1_048_576, 131_072)
    prices = info.prices
    assert (prices.input, prices.cached_input, prices.output) == (1.25, 0.15, 4.25)


@pytest.mark.parametrize(
    ("model", "window", "prices"),
    [
        ("anthropic/claude-sonnet-4-5", 200_000, (3, 0.3, 15)),
        ("azure/gpt-4o", 128_000, (2.5, 1.25, 10)),
        ("bedrock/amazon.nova-lite-v1:0", 300_000, (0.06, 0.015, 0.24)),
        ("cerebras/gpt-oss-120b", 131_072, (0.35, None, 0.75)),
        ("cohere/command-a-03-2025", 256_000, (2.5, None, 10)),
        ("deepinfra/openai/gpt-oss-120b", 131_072, (0.05, None, 0.24)),
        ("deepseek/deepseek-v4-pro", 1_000_000, (0.66, 0.022, 1.98)),
        ("fireworks_ai/accounts/fireworks/models/gpt-oss-20b", 131_072, (0.07, 0.035, 0.3)),
        ("gemini/gemini-2.5-flash", 1_048_576, (0.3, 0.03, 2.5)),
        ("groq/openai/gpt-oss-20b", 131_072, (0.075, 0.0375, 0.3)),
        ("huggingface/openai/gpt-oss-120b:groq", 131_072, (0.15, None, 0.75)),
        ("meta/muse-spark-1.1", 1_048_576, (1.25, 0.15, 4.25)),
        ("meta_llama/Llama-3.3-8B-Instruct", 128_000, (None, None, None)),
        ("mistral/mistral-large-2512", 262_144, (0.5, 0.05, 1.5)),
        ("moonshot/kimi-k2-thinking", 262_144, (0.6, 0.15, 2.5)),
        ("nebius/openai/gpt-oss-120b", 124_000, (0.15, 0.015, 0.6)),
        ("novita/openai/gpt-oss-120b", 131_072, (0.05, None, 0.25)),
        ("nvidia_nim/openai/gpt-oss-120b", 128_000, (None, None, None)),
        ("openai/gpt-4o", 128_000, (2.5, 1.25, 10)),
        ("openrouter/openai/gpt-4o", 128_000, (2.5, 1.25, 10)),
        ("perplexity/sonar-pro", 200_000, (3, None, 15)),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072, (0.88, None, 0.88)),
        ("vercel_ai_gateway/openai/gpt-4o", 128_000, (2.5, 1.25, 10)),
        ("vertex_ai/gemini-2.5-flash", 1_048_576, (0.3, 0.03, 2.5)),
        ("voyage/voyage-3.5", None, (0.06, None, None)),
        ("xai/grok-4.5", 500_000, (2, 0.3, 6)),
        ("zai/glm-4.6", 204_800, (0.6, 0.11, 2.2)),
    ],
)
def test_get_model_info_knows_models_of_every_provider(
    model: str, window: int | None, prices: tuple[float | None, ...]
) -> None:
    info = get_model_info(model)
    assert info.provider == model.partition("/")[0]
    assert info.max_input_tokens == window
    assert (info.prices.input, info.prices.cached_input, info.prices.output) == prices
    assert info.sources


def test_get_model_info_finds_models_of_a_prefix_under_another_one() -> None:
    """`gemini_openai/` is another protocol of the same service."""
    assert get_model_info("gemini_openai/gemini-2.5-pro") == get_model_info("gemini/gemini-2.5-pro")
    assert find_model_info("gemini_openai/no-such-model") is None


def test_get_model_info_has_an_entry_for_every_hosted_provider() -> None:
    listed = {name.partition("/")[0] for name in known_models()}
    own_servers = {name for name in GATEWAYS if GATEWAYS[name].key_required is False}
    no_catalogue_has_it = {"sambanova"}
    under_another_name = {"gemini_openai"}
    assert GATEWAYS.keys() - own_servers - no_catalogue_has_it - under_another_name <= listed


@pytest.mark.parametrize(
    ("bare", "whole"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("gpt-5-2025-08-07", "openai/gpt-5"),
        ("o3", "openai/o3"),
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        ("mistral-large-latest", "mistral/mistral-large-latest"),
        ("deepseek-chat", "deepseek/deepseek-chat"),
    ],
)
def test_get_model_info_finds_bare_names_at_who_makes_the_model(bare: str, whole: str) -> None:
    assert get_model_info(bare).name == get_model_info(whole).name
    assert get_model_info(bare).name.startswith(whole.partition("/")[0])


def test_for_prompt_takes_the_prices_of_long_prompts() -> None:
    prices = get_model_info("gemini/gemini-2.5-pro").prices
    assert (prices.for_prompt(200_000).input, prices.for_prompt(200_001).input) == (1.25, 2.5)
    assert prices.for_prompt(200_001).output == 15


def test_for_service_tier_takes_the_prices_of_batches_and_tiers() -> None:
    prices = get_model_info("openai/gpt-4o").prices
    assert (prices.for_service_tier("batch").input, prices.for_service_tier("batch").output) == (
        1.25,
        5,
    )
    assert prices.for_service_tier("priority").cached_input == 2.125
    assert prices.for_service_tier("default") is prices
    assert prices.for_service_tier(None) is prices


def test_for_service_tier_keeps_the_tiers_of_long_prompts() -> None:
    flex = get_model_info("openai/gpt-5.4").prices.for_service_tier("flex")
    assert (flex.input, flex.for_prompt(272_001).input) == (1.25, 2.5)


def test_get_model_info_keeps_prices_of_audio_images_and_other_units() -> None:
    audio = get_model_info("gemini/gemini-2.5-flash").prices
    assert (audio.input_audio, audio.cached_input_audio) == (1, 0.1)
    image = get_model_info("openai/gpt-image-1").prices
    assert (image.input, image.input_image, image.output) == (5, 10, 40)
    hours = get_model_info("groq/whisper-large-v3")
    assert hours.mode == "transcription"
    assert UnitPrice(unit="input_audio_seconds", price=0.111, per=3600) in hours.prices.units
    pages = get_model_info("mistral/mistral-ocr-latest")
    assert pages.mode == "ocr"
    assert UnitPrice(unit="input_document_pages", price=4, per=1000) in pages.prices.units
    writes = get_model_info("anthropic/claude-sonnet-4-5").prices
    assert (writes.cache_write, writes.cache_write_1h) == (3.75, 6)


def test_no_price_is_zero_without_free() -> None:
    for name, entry in BUILTIN["models"].items():
        known = [v for v in entry.get("prices", {}).values() if isinstance(v, (int, float))]
        assert 0 not in known or entry["free"], name


def test_find_is_quick_for_hits_and_misses() -> None:
    get_model_info("openai/gpt-4o")  # reads the file
    for model in ("openai/gpt-4o", "gpt-4o", "openai/gpt-40", "gpt-40", "nobody/nothing"):
        start = time.perf_counter()
        for _ in range(1000):
            find_model_info(model)
        assert (time.perf_counter() - start) / 1000 < 50e-6, model


def test_find_gives_none_for_an_unknown_model_and_for_a_missing_file() -> None:
    assert find_model_info("openai/gpt-40") is None
    assert find_model_info("gpt-40") is None
    assert find_model_info("llamacpp/nowhere.gguf") is None


@pytest.mark.parametrize(
    "call",
    [
        "from llmroute.registry import get_model_info; print(get_model_info(M).max_input_tokens)",
        "from llmroute.tokens import token_counter; print(token_counter(M, text='a').method)",
        "from llmroute.costs import cost_per_token; print(cost_per_token(M, 5, 5))",
    ],
)
def test_local_models_are_known_whatever_was_imported_before(call: str, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    model = f"llamacpp/{write_random(tmp_path / 'tiny.gguf')}"
    code = f"M = {model!r}; {call}"
    alone, after = (
        subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout
        for c in (code, f"import llmroute.models; {code}")
    )
    assert alone == after != ""


def test_an_alias_is_the_same_model() -> None:
    assert get_model_info("openai/gpt-4-0613") == get_model_info("openai/gpt-4")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("openai/gpt-40", "openai/gpt-4o"),
        ("meta_llama/llama-3.3-8b-instruct", "meta_llama/Llama-3.3-8B-Instruct"),
        ("openai/gpt-4-0614", "openai/gpt-4-0613"),
    ],
)
def test_an_unknown_model_is_an_error_that_names_near_matches(wrong: str, meant: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        get_model_info(wrong)
    assert repr(meant) in str(caught.value)
    assert caught.value.model == wrong


def test_an_info_is_frozen_and_pickles() -> None:
    info = get_model_info("openai/gpt-4o")
    assert pickle.loads(pickle.dumps(info)) == info
    with pytest.raises(FrozenInstanceError):
        info.mode = "text"  # type: ignore[misc]


def test_register_entries_and_info_objects_in_one_mapping() -> None:
    known = get_model_info("openai/gpt-4o")
    cheaper = replace(known, max_output_tokens=5)
    names = register_model(
        {
            "private/small": {"mode": "chat", "prices": {"input": 0.5, "output": 1}},
            "openai/gpt-4o": cheaper,
        }
    )
    assert names == ["openai/gpt-4o", "private/small"]
    assert get_model_info("openai/gpt-4o").max_output_tokens == 5
    info = get_model_info("private/small")
    assert (info.provider, info.prices.input, info.status) == ("private", 0.5, None)
    assert "private/small" in known_models()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"mode": "chat", "max_input_token": 5}, "max_input_token"),
        ({"mode": "chat", "prices": {"input": 0}}, "free"),
        ({"mode": "chat", "prices": {"input": -1}}, "negative"),
        ({"mode": "chat", "max_input_tokens": 0}, "greater than 0"),
        ({"mode": "chat", "max_input_tokens": "128000"}, "max_input_tokens"),
        ({"mode": "chat", "prices": {"inptu": 1}}, "inptu"),
        ({"mode": "chat", "sources": [{"url": "https://a.example"}]}, "checked"),
        ({"mode": "chat", "sources": {1, 2}}, "JSON"),
        ({"mode": "sing"}, "mode"),
        ({}, "mode"),
        ("chat", "not an object"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused_and_nothing_is_added(
    entry: object, says: str
) -> None:
    with pytest.raises(LLMRouteError, match=says):
        register_model({"private/good": {"mode": "chat"}, "private/bad": entry})
    with pytest.raises(NotFoundError):
        get_model_info("private/good")


def test_free_models_may_cost_nothing() -> None:
    free = {"mode": "chat", "free": True, "prices": {"input": 0, "output": 0}}
    register_model({"private/free": free})
    assert get_model_info("private/free").prices.input == 0


LITELLM = {
    "sample_spec": {"litellm_provider": "one of the providers", "max_tokens": "set to ..."},
    "gpt-4o": {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_tokens": 16384,
        "max_input_tokens": 128000,
        "input_cost_per_token": 2.5e-06,
        "cache_read_input_token_cost": 1.25e-06,
        "output_cost_per_token": 1e-05,
        "supports_function_calling": True,
        "supports_vision": True,
    },
    "groq/free-for-now": {
        "litellm_provider": "groq",
        "mode": "chat",
        "input_cost_per_token": 0,
        "output_cost_per_token": 0.0,
    },
    "xai/tiered": {
        "litellm_provider": "xai",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06,
        "output_cost_per_token": 3e-06,
        "output_cost_per_token_above_200k_tokens": 6e-06,
        "deprecation_date": "2027-01-31",
    },
    "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation"},
    "davinci-002": {"litellm_provider": "text-completion-openai", "mode": "completion"},
}


@pytest.mark.parametrize("road", ["mapping", "path", "environment"])
def test_litellms_format_is_read(
    road: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model_prices_and_context_window.json"
    path.write_text(json.dumps(LITELLM))
    if road == "environment":
        monkeypatch.setenv("LLMROUTE_MODEL_REGISTRY", str(path))
    else:
        register_model(LITELLM if road == "mapping" else path)
    info = get_model_info("openai/gpt-4o")
    assert (info.prices.input, info.prices.cached_input, info.prices.output) == (2.5, 1.25, 10)
    assert (info.max_input_tokens, info.max_output_tokens) == (128_000, 16_384)
    assert (info.capabilities.tools, info.capabilities.reasoning) == (True, None)
    assert get_model_info("groq/free-for-now").prices.input is None
    tiered = get_model_info("xai/tiered")
    assert tiered.prices.for_prompt(200_000).input == 1
    assert tiered.prices.for_prompt(200_001).input == 2
    assert tiered.retires == date(2027, 1, 31)
    assert get_model_info("openai/davinci-002").mode == "text"
    assert not {"openai/dall-e-3", "sample_spec"} & set(known_models())


def test_an_override_file_in_our_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"version": 1, "models": {"private/big": {"mode": "chat"}}}))
    monkeypatch.setenv("LLMROUTE_MODEL_REGISTRY", str(path))
    assert get_model_info("private/big").mode == "chat"
    assert get_model_info("openai/gpt-4o").mode == "chat"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"version": 3, "models": {}}', "version 3"),
        ('{"version": 1}', "models"),
    ],
)
def test_a_bad_override_file_is_an_error_that_names_it(
    content: str | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "models.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("LLMROUTE_MODEL_REGISTRY", str(path))
    with pytest.raises(LLMRouteError, match=says):
        get_model_info("openai/gpt-4o")


def test_a_resolver_answers_for_models_that_no_file_lists() -> None:
    asked = []

    def resolver(model: str) -> ModelInfo:
        asked.append(model)
        return local_model_info(model, context_window=4096)

    register_resolver("llamacpp", resolver)
    info = get_model_info("llamacpp//models/a.gguf")
    assert (info.provider, info.max_input_tokens, info.free) == ("llamacpp", 4096, True)
    assert (info.prices.input, info.prices.output) == (0, 0)
    assert asked == ["llamacpp//models/a.gguf"]
    with pytest.raises(NotFoundError):
        get_model_info("other/a.gguf")


def _broken(**change: object) -> str:
    entry = {**BUILTIN["models"]["openai/gpt-4o"], "free": False, **change}
    registry = {"sources": BUILTIN["sources"], "models": {"openai/gpt-4o": entry}}
    return format_registry({"version": 2, **registry})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_broken(sources=[]), "no source"),
        (_broken(sources={"nowhere": "prices"}), "nowhere"),
        (_broken(prices={"units": [{"unit": "pages", "price": 0}]}), "free"),
        (_broken(sources=[{"url": "http://a.example", "checked": "2026-01-01"}]), "https"),
        (_broken(sources=[{"url": "https://a.example", "checked": "2026-12-02"}]), "future"),
        (_broken(status="retired"), "last day"),
        (_broken(status="retired", retires="2026-12-24"), "last day"),
        (_broken(retires="2026-01-01"), "has passed"),
        (_broken(tokenizer="o200k"), "tokenizer"),
        (_broken(provider="groq"), "provider"),
        (_broken(replaced_by="openai/gpt-9"), "gpt-9"),
        (_broken(aliases=["openai/gpt-4o"]), "alias"),
        (_broken(prices={"input": 0.0}), "free"),
        (_broken().replace('"mode"', '"made"'), "made"),
        (_broken().replace("\n", ""), "layout"),
        (_broken().replace('"free":false', '"free":false,"free":false'), "twice"),
        ('{"version": 1}', "keys"),
        ("", "Expecting value"),
    ],
)
def test_the_check_finds(text: str, says: str) -> None:
    problems = check_registry(text, today=TODAY)
    assert any(says in problem for problem in problems), problems


def test_the_command_fixes_the_layout_and_tells_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps(BUILTIN))
    assert main([str(path)]) == 1
    assert "--fix" in capsys.readouterr().out
    assert main([str(path), "--fix"]) == 0
    assert path.read_text() == builtin_path().read_text()


def test_the_check_reads_version_1() -> None:
    source = {"url": "https://a.example", "checked": "2026-01-01"}
    models = {"private/big": {"mode": "chat", "sources": [source]}}
    text = format_registry({"version": 1, "models": models})
    assert check_registry(text, today=TODAY) == []


def test_a_file_in_another_layout_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(LLMRouteError, match="--fix"):
        RegistryLines(json.dumps(BUILTIN).encode())
