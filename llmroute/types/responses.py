"""OpenAI's Responses protocol: the parameters, the answer and the events of a stream.

The fields are those of https://platform.openai.com/docs/api-reference/responses (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, with_config
from typing_extensions import TypedDict

from .base import Model
from .call_info import Answer
from .request import JSON, STRICT


@with_config(STRICT)
class ResponsesParams(TypedDict, total=False):
    """The parameters of a Responses call, in OpenAI's names."""

    background: bool | None
    conversation: str | Mapping[str, JSON] | None
    include: Sequence[str] | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: Mapping[str, str] | None
    parallel_tool_calls: bool | None
    previous_response_id: str | None
    prompt: Mapping[str, JSON] | None
    prompt_cache_key: str | None
    prompt_cache_options: Mapping[str, JSON] | None
    prompt_cache_retention: str | None
    reasoning: Mapping[str, JSON] | None
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    stream_options: Mapping[str, JSON] | None
    temperature: float | None
    text: Mapping[str, JSON] | None
    tool_choice: str | Mapping[str, JSON] | None
    tools: Sequence[Mapping[str, JSON]] | None
    top_logprobs: int | None
    top_p: float | None
    truncation: str | None
    user: str | None


class OutputText(Model):
    """Words of the model."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Model]
    """Citations and other remarks on parts of the text."""
    logprobs: list[Model] | None = None


class OutputRefusal(Model):
    """Why the model refuses."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class ReasoningText(Model):
    """A piece of thinking: as it is (`reasoning_text`) or summed up (`summary_text`)."""

    type: Literal["reasoning_text", "summary_text"]
    text: str


ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(Model):
    """What the model says."""

    type: Literal["message"] = "message"
    id: str
    role: Literal["assistant"] = "assistant"
    status: ItemStatus
    content: list[OutputText | OutputRefusal]


class OutputFunctionCall(Model):
    """A function that the model wants called. Send back a `function_call_output` item."""

    type: Literal["function_call"] = "function_call"
    id: str
    call_id: str
    """What the output names as its call."""
    name: str
    namespace: str | None = None
    """The `namespace` tool that the function is in; `None`: none."""
    arguments: str
    """JSON text, as the model wrote it; it may not parse."""
    status: ItemStatus | None = None


class OutputCustomCall(Model):
    """A call of a `custom` tool, with free text as its input."""

    type: Literal["custom_tool_call"] = "custom_tool_call"
    id: str
    call_id: str
    """What the output names as its call."""
    name: str
    namespace: str | None = None
    input: str


class OutputReasoning(Model):
    """The model's thinking. Send it back with the items beside it."""

    type: Literal["reasoning"] = "reasoning"
    id: str
    summary: list[ReasoningText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    """What the provider must get back unchanged, in a form that only its sender reads."""
    status: ItemStatus | None = None


class OutputOther(Model):
    """An item of a type that is not known here, with all its fields."""

    type: str


OutputItem: TypeAlias = Annotated[
    OutputMessage | OutputFunctionCall | OutputCustomCall | OutputReasoning | OutputOther,
    Field(union_mode="left_to_right"),
]


class InputTokensDetails(Model):
    """What the input tokens were made of."""

    cached_tokens: int | None = None
    """Tokens read from the provider's prompt cache; 0 where the provider reports none."""
    cache_write_tokens: int | None = None
    """Tokens written to the provider's prompt cache; 0 where the provider reports none."""


class OutputTokensDetails(Model):
    """What the output tokens were made of."""

    reasoning_tokens: int | None = None
    """Tokens of thinking; 0 where the provider reports none."""


class ResponseUsage(Model):
    """Token counts as the provider reported them."""

    input_tokens: int
    input_tokens_details: InputTokensDetails | None = None
    output_tokens: int
    output_tokens_details: OutputTokensDetails | None = None
    total_tokens: int


class IncompleteDetails(Model):
    """Why an answer is not whole."""

    reason: str | None = None
    """`"max_output_tokens"` or `"content_filter"`."""


class ResponseError(Model):
    """Why there is no answer."""

    code: str
    message: str


class Response(Answer):
    """The answer to `responses()`."""

    id: str
    object: Literal["response"] = "response"
    created_at: float
    """Unix time in seconds."""
    model: str
    """The model that answered, in the provider's words."""
    status: str | None = None
    """`"completed"`, `"incomplete"`, `"failed"`, `"in_progress"`, `"queued"` or `"cancelled"`."""
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    output: list[OutputItem]
    """What the model thought, said and wants called, in its order."""
    usage: ResponseUsage | None = None
    """`None` when the provider reported none."""
    instructions: str | list[Model] | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    temperature: float | None = None
    tool_choice: str | Model | None = None
    tools: list[Model] | None = None
    top_p: float | None = None
    dropped: list[str] | None = None
    """What of the request the model was not given, such as `"tools[1] (web_search)"`; `None`:
    nothing."""
    native_finish_reason: str | None = None
    """Why the answer ended, in a word of the provider's that OpenAI does not have."""

    @property
    def output_text(self) -> str:
        """All that the model says in `output`; `""` when it says nothing."""
        return "".join(
            part.text
            for item in self.output
            if isinstance(item, OutputMessage)
            for part in item.content
            if isinstance(part, OutputText)
        )


class ResponseEvent(Model):
    """One event of a stream. `type` says which of the other fields are set.

    Events come in the protocol's order: `response.created`, `response.in_progress`, those of the
    items, and at last `response.completed`, `response.incomplete` or `response.failed`.
    """

    type: str
    sequence_number: int | None = None
    """0 in the first event, and one more in each."""
    response: Response | None = None
    """The answer so far; the whole one in the last event."""
    output_index: int | None = None
    """The item's place in `output`."""
    item_id: str | None = None
    item: OutputItem | None = None
    content_index: int | None = None
    summary_index: int | None = None
    annotation_index: int | None = None
    part: OutputText | OutputRefusal | ReasoningText | None = None
    delta: str | Model | None = None
    """New text; an object in events of tools that OpenAI runs."""
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: Any = None
    logprobs: list[Model] | None = None
