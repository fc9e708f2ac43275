"""Gateways and servers that speak OpenAI's protocol: each is a row of data.

A row holds what differs from OpenAI and was found on the row's `source` page, on the day it was
`checked`; a parameter that is not named in it goes out as it is, and the endpoint itself says what
it thinks of it. Which keys of an answer's message a service takes back in the next turn
(`message_keys`) was found on the page beside them; a row without the field sends back all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..deployments import Deployment, origin
from ..types.samplers import LOCAL_PARAMS
from .message_keys import returned
from .openai_like import OpenAILike

ALIASES = {"ollama_chat": "ollama"}
"""Prefixes that LiteLLM's users know, where they mean the same."""

_CHAT = ("chat",)
_CHAT_TEXT = ("chat", "text")
_CHAT_EMBEDDING = ("chat", "embedding")
_OLD_LIMIT = {"max_completion_tokens": "max_tokens"}


class OpenAI(OpenAILike):
    """OpenAI itself, and by its prefix every server that speaks its protocol."""

    def message(self, message: Mapping[str, Any], deployment: Deployment) -> Mapping[str, Any]:
        """As `message_keys` say at OpenAI's own host, which refuses others; elsewhere with all."""
        return returned(message, self.message_keys if self._at_home(deployment) else None)

    def offers(self, operation: str, deployment: Deployment) -> bool:
        """The Responses protocol at OpenAI's own host only: other servers may not speak it."""
        return operation in self.operations and (
            operation != "responses" or self._at_home(deployment)
        )

    def _at_home(self, deployment: Deployment) -> bool:
        own, here = origin(self.base_url or ""), origin(deployment.api_base or "")
        return own is not None and here is not None and own[1] == here[1]


class LLMRouteProxy(OpenAILike):
    """This project's proxy, which decides itself what each provider behind it takes back."""

    def message(self, message: Mapping[str, Any], deployment: Deployment) -> Mapping[str, Any]:
        """All of it, also content in the form of a provider with a protocol of its own."""
        return message


def _hosted(
    name: str,
    base_url: str,
    *key_env: str,
    source: str,
    checked: str,
    kind: type[OpenAILike] = OpenAILike,
    **quirks: Any,
) -> OpenAILike:
    """A service of somebody else. Its own `..._API_BASE` variable may name another URL."""
    quirks.setdefault("base_env", (f"{name.upper()}_API_BASE",))
    return kind(
        name=name, base_url=base_url, key_env=key_env, source=source, checked=checked, **quirks
    )


def _own(
    name: str,
    base_url: str | None,
    *,
    source: str,
    checked: str,
    kind: type[OpenAILike] = OpenAILike,
    **quirks: Any,
) -> OpenAILike:
    """Software one runs oneself: it may need no key, and gets its key wherever it runs."""
    return kind(
        name=name,
        base_url=base_url,
        base_env=(f"{name.upper()}_API_BASE",),
        base_path="/v1",
        key_env=(f"{name.upper()}_API_KEY",),
        key_required=False,
        key_to_any_host=True,
        source=source,
        checked=checked,
        **quirks,
    )


# fmt: off
# A table reads best with the same facts on the same line of every row.
_ROWS = (
    # Software one runs oneself.
    _own("hosted_vllm", "http://localhost:8000/v1",
         source="https://docs.vllm.ai/en/v0.28.0/serving/online_serving/openai_compatible_server/",
         checked="2026-11-22",
         extra_params=frozenset({"chat_template", "chat_template_kwargs", "ignore_eos", "min_p",
                                 "repetition_penalty", "top_k"})),
    _own("litellm_proxy", None,
         source="https://docs.litellm.ai/docs/providers/litellm_proxy",
         checked="2026-11-22",
         extra_params=LOCAL_PARAMS),
    _own("llamafile", "http://localhost:8080/v1",
         source="https://github.com/mozilla-ai/llamafile/blob/main/docs/api.md",
         checked="2026-11-28",
         extra_params=frozenset({"grammar", "ignore_eos", "min_p", "mirostat", "mirostat_eta",
                                 "mirostat_tau", "repeat_penalty", "top_k", "typical_p"})),
    _own("llmroute_proxy", None,
         source="for a proxy of this project, once it has one",
         checked="2026-11-22",
         kind=LLMRouteProxy,
         extra_params=LOCAL_PARAMS),
    _own("lm_studio", "http://localhost:1234/v1",
         source="https://lmstudio.ai/docs/api/openai-api",
         checked="2026-11-22",
         extra_params=frozenset({"repeat_penalty", "top_k"})),
    # It ignores what it does not know, so a limit under its new name would be lost in silence.
    _own("ollama", "http://localhost:11434/v1",
         source="https://docs.ollama.com/api/openai-compatibility",
         checked="2026-11-22",
         renamed_params=_OLD_LIMIT,
         unsupported_params=frozenset({"best_of", "echo", "logit_bias", "n", "tool_choice"}),
         # https://github.com/ollama/ollama/blob/main/openai/openai.go, type Message, 2026-11-28
         message_keys=frozenset({"reasoning"})),
    # Services.
    _hosted("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY",
            source="https://inference-docs.cerebras.ai/resources/openai",
            checked="2026-11-22",
            operations=_CHAT_TEXT,
            # https://inference-docs.cerebras.ai/capabilities/reasoning, 2026-11-28; it answers 400
            # to `reasoning_content`: https://github.com/vercel/ai/pull/15425
            message_keys=frozenset({"reasoning"})),
    _hosted("deepinfra", "https://api.deepinfra.com/v1/openai",
            "DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN",
            source="https://docs.deepinfra.com/chat/overview",
            checked="2026-11-22"),
    _hosted("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY",
            source="https://api-docs.deepseek.com/",
            checked="2026-11-22",
            operations=_CHAT, renamed_params=_OLD_LIMIT,
            # https://api-docs.deepseek.com/guides/thinking_mode, 2026-11-28: a turn with tool calls
            # without it is answered 400.
            message_keys=frozenset({"reasoning_content"})),
    _hosted("fireworks_ai", "https://api.fireworks.ai/inference/v1",
            "FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY",
            source="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
            checked="2026-11-22",
            base_env=("FIREWORKS_API_BASE",), extra_params=frozenset({"top_k"}),
            # https://docs.fireworks.ai/guides/reasoning, 2026-11-28
            message_keys=frozenset({"reasoning_content"})),
    _hosted("gemini_openai", "https://generativelanguage.googleapis.com/v1beta/openai",
            "GEMINI_API_KEY", "GOOGLE_API_KEY",
            source="https://ai.google.dev/gemini-api/docs/openai",
            checked="2026-11-22",
            operations=_CHAT_EMBEDDING,
            # https://ai.google.dev/gemini-api/docs/thought-signatures, 2026-11-28: Gemini 3 answers
            # 400 to a call of a function that comes back without its signature.
            message_keys=frozenset({"extra_content"})),
    _hosted("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY",
            source="https://console.groq.com/docs/openai",
            checked="2026-11-22",
            operations=_CHAT,
            unsupported_params=frozenset({"logit_bias", "logprobs", "top_logprobs"}),
            # https://github.com/groq/groq-python/blob/main/src/groq/types/chat/
            # chat_completion_assistant_message_param.py, 2026-11-28; it answers 400 to any other.
            message_keys=frozenset({"function_call", "name", "reasoning"})),
    _hosted("huggingface", "https://router.huggingface.co/v1", "HUGGINGFACE_API_KEY", "HF_TOKEN",
            source="https://huggingface.co/docs/inference-providers/index",
            checked="2026-11-22",
            operations=_CHAT),
    # Its streams end with the usage unasked.
    _hosted("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
            source="https://github.com/mistralai/client-python/blob/main/docs/models/"
                   "chatcompletionrequest.md",
            checked="2026-11-22",
            operations=_CHAT_EMBEDDING, stream_usage=False,
            renamed_params={**_OLD_LIMIT, "seed": "random_seed"},
            unsupported_params=frozenset({"logit_bias", "logprobs", "stream_options",
                                          "top_logprobs"}),
            finish_reasons={"model_length": "length"},
            # https://github.com/mistralai/client-python/blob/main/docs/models/assistantmessage.md,
            # 2026-11-28; it answers 422 to any other.
            message_keys=frozenset({"prefix"})),
    _hosted("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY",
            source="https://platform.kimi.ai/docs/api/overview",
            checked="2026-11-22",
            operations=_CHAT,
            # https://platform.kimi.ai/docs/guide/use-kimi-k2-thinking-model, 2026-11-28
            message_keys=frozenset({"name", "reasoning_content"})),
    _hosted("nebius", "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY",
            source="https://docs.tokenfactory.nebius.com/api-reference/introduction",
            checked="2026-11-22"),
    _hosted("novita", "https://api.novita.ai/openai/v1", "NOVITA_API_KEY",
            source="https://novita.ai/docs/api-reference/model-apis-llm-create-completion",
            checked="2026-11-22",
            operations=_CHAT_TEXT,
            extra_params=frozenset({"min_p", "repetition_penalty", "top_k"}),
            # https://novita.ai/docs/guides/llm-interleaved-thinking, 2026-11-28
            message_keys=frozenset({"reasoning_content", "reasoning_details"})),
    _hosted("nvidia_nim", "https://integrate.api.nvidia.com/v1",
            "NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY",
            source="https://docs.nvidia.com/nim/large-language-models/reference/api-reference",
            checked="2026-11-28"),
    _hosted("openai", "https://api.openai.com/v1", "OPENAI_API_KEY",
            source="https://github.com/openai/openai-python/blob/main/src/openai/_client.py",
            checked="2026-11-22",
            base_env=("OPENAI_BASE_URL", "OPENAI_API_BASE"), kind=OpenAI,
            operations=("chat", "text", "embedding", "responses"),
            # https://github.com/openai/openai-python/blob/main/src/openai/types/chat/
            # chat_completion_assistant_message_param.py, 2026-11-28
            message_keys=frozenset({"audio", "function_call", "name", "refusal"}),
            idempotency_header="Idempotency-Key"),
    # `reasoning_details`, `images` and `annotations` must come back unchanged, and what else came
    # may (https://openrouter.ai/docs/use-cases/reasoning-tokens and .../features/multimodal/pdfs).
    _hosted("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OR_API_KEY",
            source="https://openrouter.ai/docs/api_reference/parameters",
            checked="2026-11-22",
            extra_params=frozenset({"min_p", "repetition_penalty", "top_k"})),
    _hosted("perplexity", "https://api.perplexity.ai",
            "PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY",
            source="https://docs.perplexity.ai/docs/sonar/openai-compatibility",
            checked="2026-11-28",
            operations=_CHAT, renamed_params=_OLD_LIMIT),
    _hosted("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY",
            source="https://github.com/sambanova/sambanova-python",
            checked="2026-11-28",
            operations=_CHAT_EMBEDDING,
            # https://github.com/sambanova/sambanova-python/blob/main/src/sambanova/types/chat/
            # completion_create_params.py, 2026-11-28
            message_keys=frozenset({"channel", "reasoning"})),
    _hosted("together_ai", "https://api.together.ai/v1",
            "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY",
            source="https://docs.together.ai/docs/inference/openai-compatibility",
            checked="2026-11-22",
            renamed_params=_OLD_LIMIT,
            extra_params=frozenset({"min_p", "repetition_penalty", "top_k"})),
    _hosted("vercel_ai_gateway", "https://ai-gateway.vercel.sh/v1",
            "VERCEL_AI_GATEWAY_API_KEY", "AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN",
            source="https://vercel.com/docs/ai-gateway/openai-compat",
            checked="2026-11-22",
            operations=_CHAT_EMBEDDING),
    _hosted("xai", "https://api.x.ai/v1", "XAI_API_KEY",
            source="https://docs.x.ai/api",
            checked="2026-11-22",
            operations=_CHAT,
            # https://docs.x.ai/developers/model-capabilities/text/best-practices, 2026-11-28: chat
            # completions have no field for earlier thinking.
            message_keys=frozenset({"name"})),
    _hosted("zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY",
            source="https://docs.z.ai/guides/develop/openai/python",
            checked="2026-11-28",
            operations=_CHAT,
            # https://docs.z.ai/guides/capabilities/thinking-mode, 2026-11-28
            message_keys=frozenset({"reasoning_content"})),
)
# fmt: on

GATEWAYS: dict[str, OpenAILike] = {row.name: row for row in _ROWS}
"""The rows by prefix."""
