"""What calls cost: known prices to the cent, unknown ones never as zero."""

import pickle
from collections.abc import Iterator

import pytest

import llmroute
from llmroute.costs import Cost, completion_cost, cost_per_token
from llmroute.errors import BadRequestError
from llmroute.registry import local_model_info, register_model
from llmroute.runtime import Runtime, use
from llmroute.types.chat import ChatCompletion, ToolCall
from llmroute.types.embedding import EmbeddingResponse

MODELS = {
    "cost-test/plain": {"mode": "chat", "prices": {"input": 2, "output": 8}},
    "cost-test/cached": {
        "mode": "chat",
        "prices": {"input": 2, "cached_input": 0.5, "cache_write": 2.5, "output": 8},
    },
    "cost-test/tiered": {
        "mode": "chat",
        "prices": {
            "input": 1,
            "output": 2,
            "tiers": [{"min_prompt_tokens": 200_000, "input": 3, "output": 6}],
        },
    },
    "cost-test/audio": {
        "mode": "chat",
        "prices": {"input": 2, "input_audio": 40, "output": 8, "output_audio": 80},
    },
    "cost-test/flex": {
        "mode": "chat",
        "prices": {
            "input": 2,
            "cached_input": 1,
            "output": 8,
            "service_tiers": [
                {
                    "service_tier": "flex",
                    "input": 1,
                    "output": 4,
                    "tiers": [{"min_prompt_tokens": 200_000, "input": 3, "output": 6}],
                }
            ],
        },
    },
    "cost-test/unknown": {"mode": "chat"},
    "cost-test/fees": {
        "mode": "chat",
        "prices": {"input": 1, "output": 1, "other_fees": "a fee per search"},
    },
    "cost-test/embed": {"mode": "embedding", "prices": {"input": 0.1}},
    "cost-test/local": local_model_info("cost-test/local", context_window=512),
}


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    with use(Runtime()):
        register_model(MODELS)
        yield


def completion(usage: dict[str, object] | None, text: str = "Hello there.") -> ChatCompletion:
    return ChatCompletion.model_validate(
        {
            "id": "1",
            "created": 1,
            "model": "m",
            "choices": [{"message": {"content": text}}],
            "usage": usage,
        }
    )


def used(prompt: int, answer: int, **details: int) -> dict[str, object]:
    usage: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
    }
    return {**usage, "prompt_tokens_details": details} if details else usage


@pytest.mark.parametrize(
    ("model", "tokens", "expected"),
    [
        ("cost-test/plain", (1_000_000, 500_000), (2.0, 4.0)),
        ("cost-test/plain", (0, 0), (0.0, 0.0)),
        ("cost-test/cached", (1_000_000, 0, 400_000), (1.4, 0.0)),
        ("cost-test/plain", (1_000_000, 500_000, 1), (None, 4.0)),
        ("cost-test/tiered", (199_999, 1_000_000), (0.199999, 2.0)),
        ("cost-test/tiered", (200_000, 1_000_000), (0.6, 6.0)),
        ("cost-test/unknown", (10, 10), (None, None)),
        ("cost-test/local", (1000, 1000, 10), (0.0, 0.0)),
        ("cost-test/embed", (1_000_000, 0), (0.1, 0.0)),
        ("cost-test/no-such-model", (10, 10), (None, None)),
        ("meta_llama/Llama-3.3-8B-Instruct", (10, 10), (None, None)),
    ],
)
def test_cost_per_token(
    model: str, tokens: tuple[int, ...], expected: tuple[float | None, float | None]
) -> None:
    prompt, answer = cost_per_token(model, *tokens)
    assert (prompt, answer) == (
        pytest.approx(expected[0]) if expected[0] is not None else None,
        expected[1],
    )


def test_cache_writes_have_their_own_price() -> None:
    costs = cost_per_token("cost-test/cached", 1_000_000, 0, 0, cache_write_tokens=1_000_000)
    assert costs.prompt == 2.5


@pytest.mark.parametrize(
    ("tier", "tokens", "expected"),
    [
        ("flex", (100_000, 100_000), (0.1, 0.4)),
        ("flex", (200_000, 100_000), (0.6, 0.6)),
        ("flex", (100_000, 100_000, 1), (None, 0.4)),
        ("default", (100_000, 100_000), (0.2, 0.8)),
        ("priority", (100_000, 100_000), (0.2, 0.8)),
        (None, (100_000, 100_000), (0.2, 0.8)),
    ],
)
def test_cost_per_token_takes_the_prices_of_the_service_tier(
    tier: str | None, tokens: tuple[int, ...], expected: tuple[float | None, float]
) -> None:
    prompt, answer = cost_per_token("cost-test/flex", *tokens, service_tier=tier)
    assert prompt == (pytest.approx(expected[0]) if expected[0] is not None else None)
    assert answer == pytest.approx(expected[1])


def test_completion_cost_takes_the_service_tier_that_the_answer_names() -> None:
    answer = completion(used(100_000, 100_000))
    answer.service_tier = "flex"
    assert completion_cost(answer, model="cost-test/flex") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("cost-test/audio", 0.9 * 2 + 0.1 * 40 + 0.6 * 8 + 0.4 * 80), ("cost-test/plain", 2 + 8)],
)
def test_completion_cost_charges_audio_where_it_has_a_price(model: str, expected: float) -> None:
    usage = used(1_000_000, 1_000_000, audio_tokens=100_000)
    usage["completion_tokens_details"] = {"audio_tokens": 400_000}
    assert completion_cost(completion(usage), model=model) == pytest.approx(expected)


def test_a_cost_is_a_float_with_parts() -> None:
    cost = completion_cost(completion(used(1_000_000, 500_000)), model="cost-test/plain")
    assert isinstance(cost, Cost)
    assert (cost, cost.prompt, cost.completion, cost.estimated) == (6.0, 2.0, 4.0, False)
    assert f"{cost:.2f} {sum([cost, cost])}" == "6.00 12.0"
    copy = pickle.loads(pickle.dumps(cost))
    assert (copy, copy.prompt, copy.estimated) == (cost, 2.0, False)


def test_cached_tokens_of_the_usage_count() -> None:
    answer = completion(used(1_000_000, 0, cached_tokens=400_000, cache_write_tokens=100_000))
    cost = completion_cost(answer, model="cost-test/cached")
    assert cost == pytest.approx(0.5 * 2 + 0.4 * 0.5 + 0.1 * 2.5)
    assert cost is not None
    assert not cost.estimated


@pytest.mark.parametrize(
    "where",
    [
        {"prompt_tokens_details": {"cached_tokens": 400_000}},
        {"cached_tokens": 400_000},
        {"prompt_cache_hit_tokens": 400_000, "prompt_cache_miss_tokens": 600_000},
        {"cache_read_input_tokens": 400_000},
        {"cached_tokens": 400_000, "prompt_tokens_details": {"cached_tokens": None}},
        {"cached_tokens": "n/a", "prompt_tokens_details": {"cached_tokens": 400_000}},
    ],
    ids=str,
)
def test_completion_cost_finds_cached_tokens_wherever_they_are(where: dict[str, object]) -> None:
    answer = completion({**used(1_000_000, 0), **where})
    cost = completion_cost(answer, model="cost-test/cached")
    assert cost == pytest.approx(0.6 * 2 + 0.4 * 0.5)


def test_completion_cost_never_counts_more_cached_tokens_than_there_were() -> None:
    answer = completion({**used(100_000, 0), "cached_tokens": 400_000})
    assert completion_cost(answer, model="cost-test/cached") == pytest.approx(0.1 * 0.5)


@pytest.mark.parametrize(
    ("counts", "billed"),
    [
        ((32, 9, 135, 94), 103),
        ((32, 103, 135, 94), 103),
        ((32, 9, 41, 0), 9),
        ((32, 9, 99, 94), 9),
    ],
    ids=["on top", "included", "none", "unclear"],
)
@pytest.mark.parametrize("place", ["in the details", "beside the counts"])
def test_completion_cost_adds_thinking_exactly_where_the_total_does(
    counts: tuple[int, int, int, int], billed: int, place: str
) -> None:
    prompt, answer, total, reasoning = counts
    thinking: dict[str, object] = {"reasoning_tokens": reasoning}
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": total}
    beside = thinking if place == "beside the counts" else {"completion_tokens_details": thinking}
    cost = completion_cost(completion({**usage, **beside}), model="cost-test/plain")
    assert cost == pytest.approx((prompt * 2 + billed * 8) / 1_000_000)


@pytest.mark.parametrize("model", ["cost-test/cached", "cost-test/fees"])
def test_what_the_usage_cannot_show_makes_it_an_estimate(model: str) -> None:
    cost = completion_cost(completion(used(10, 10)), model=model)
    assert cost is not None
    assert cost.estimated


@pytest.mark.parametrize("model", ["cost-test/unknown", "cost-test/no-such-model"])
def test_an_unknown_price_is_none(model: str) -> None:
    assert completion_cost(completion(used(10, 10)), model=model) is None


def test_a_local_answer_costs_zero_not_none() -> None:
    assert completion_cost(completion(used(10, 10)), model="cost-test/local") == 0.0


def test_without_usage_it_is_none_or_an_estimate() -> None:
    answer = completion(None)
    assert completion_cost(answer, model="cost-test/plain") is None
    cost = completion_cost(answer, model="cost-test/plain", messages="Say hello.")
    assert cost is not None
    assert cost.estimated
    assert cost > 0


def test_an_estimate_counts_tool_calls() -> None:
    answer = completion(None, text="")
    function = {"name": "get_weather", "arguments": '{"location": "Menlo Park"}'}
    answer.choices[0].message.tool_calls = [
        ToolCall.model_validate({"id": "1", "function": function})
    ]
    silent = completion_cost(completion(None, ""), model="cost-test/plain", messages="Hi")
    called = completion_cost(answer, model="cost-test/plain", messages="Hi")
    assert silent is not None
    assert called is not None
    assert called.completion > silent.completion > 0


def test_an_embedding_has_only_a_prompt() -> None:
    answer = EmbeddingResponse.model_validate(
        {"data": [], "model": "m", "usage": {"prompt_tokens": 10, "total_tokens": 10}}
    )
    assert completion_cost(answer, model="cost-test/embed") == pytest.approx(1e-6)


def test_without_a_model_it_says_what_to_do() -> None:
    with pytest.raises(BadRequestError, match="model="):
        completion_cost(completion(used(1, 1)))


def test_the_model_of_the_call_is_the_default() -> None:
    from llmroute.types.call_info import CallInfo

    answer = completion(used(1_000_000, 0))
    answer._call_info = CallInfo(provider="cost-test", model="cost-test/plain")
    assert completion_cost(answer) == 2.0


def test_a_mocked_answer_is_of_the_model_that_would_have_been_called() -> None:
    answer = llmroute.completion("openai/gpt-4o", "Hello", mock_response="Hi")
    assert answer.call_info is not None
    assert answer.call_info.model == "openai/gpt-4o"
