"""What the components share: the model's life, YAML, and how a run becomes a call."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from haystack import component, default_from_dict
from haystack.dataclasses import ChatMessage, StreamingCallbackT
from haystack.tools import ToolsType
from haystack.utils import Secret

from ._convert import flat_tools
from ._local import LocalModel
from ._options import checked_generation, checked_stream
from ._run import Call, Content, achat, chat, choose_callback
from ._serde import restore, to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a run was given beside its messages or its prompt."""

    streaming_callback: StreamingCallbackT | None
    generation_kwargs: dict[str, Any] | None
    tools: ToolsType | None = None
    """`None`: the component's own."""
    tools_strict: bool | None = None
    """`None`: as the component says."""
    in_loop: bool = False
    """Whether the run is in an event loop, which can await a callback."""


# Not an ABC: its metaclass would collide with the one that `@component` gives a class. A component
# calls its base by name: `@component` builds the class a second time, and `super()` without
# arguments still means the first one.
class Generator:
    """The base of all components: a subclass says how a run's content and options become a call."""

    api_key: Secret | None = None
    run: Callable[..., dict[str, Any]]
    """A component's own, since what it takes differs."""
    _local: LocalModel | None = None
    """The model, if it is one in this process."""

    def __init__(
        self,
        streaming_callback: StreamingCallbackT | None,
        generation_kwargs: dict[str, Any] | None,
        tools: ToolsType | None = None,
    ) -> None:
        flat_tools(tools)
        self.streaming_callback = streaming_callback
        self.generation_kwargs = checked_generation(generation_kwargs)
        self.tools = tools

    def warm_up(self) -> None:
        """Loads a model in this process and waits for it; reads the key of any other.

        A run does the same by itself.

        :raises ValueError: The key's environment variable is not set.
        """
        if self._local is not None:
            self._local.load()
        else:
            self._key()

    async def warm_up_async(self) -> None:
        """The async twin of `warm_up`."""
        if self._local is not None:
            await self._local.aload()
        else:
            self._key()

    def close(self) -> None:
        """Frees the memory of a model in this process, unless another component uses it.

        Connections to servers stay: all calls of the process share them.
        """
        if self._local is not None:
            self._local.release()

    async def close_async(self) -> None:
        """The async twin of `close`."""
        if self._local is not None:
            await self._local.arelease()

    def to_dict(self) -> dict[str, Any]:
        """The component as plain data; a pydantic `response_format` becomes its JSON schema.

        :raises ValueError: The key was given as a token, which must not be written down.
        """
        return to_dict(self, self._init_parameters())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The component that `to_dict` wrote."""
        return default_from_dict(cls, restore(data))

    def _init_parameters(self) -> dict[str, object]:
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def _call(self, content: list[ChatMessage] | str, given: Given) -> Call | None:
        """The call of a run; `None` if there is nothing to answer."""
        callback = choose_callback(
            self.streaming_callback, given.streaming_callback, in_loop=given.in_loop
        )
        wanted = self.generation_kwargs | checked_generation(given.generation_kwargs)
        stream = checked_stream(wanted.get("stream")) or callback is not None
        if "stream" in wanted:
            wanted["stream"] = stream
        plain = self._content(content)
        arguments = self._arguments(wanted, given)
        arguments.pop("stream", None)
        if not plain:
            return None
        if self._local is not None:
            self._local.use()
        elif (key := self._key()) is not None:
            arguments["api_key"] = key
        return Call(
            component=self,
            model=self._model(),
            content=plain,
            arguments=arguments,
            callback=callback,
            stream=stream,
        )

    def _key(self) -> str | None:
        return None if self.api_key is None else self.api_key.resolve_value()

    @abstractmethod
    def _model(self) -> str:
        """The model string, `provider/model`."""

    @abstractmethod
    def _content(self, content: list[ChatMessage] | str) -> Content:
        """What the call is to answer. Raises `TypeError` for anything else than a run may take."""

    @abstractmethod
    def _arguments(self, wanted: Mapping[str, object], given: Given) -> dict[str, object]:
        """The arguments of the call, without its key."""


class ChatGenerator(Generator):
    """The base of the chat components that take what Haystack's own generators take."""

    @component.output_types(replies=list[ChatMessage])
    def run(
        self,
        messages: list[ChatMessage] | str,
        streaming_callback: StreamingCallbackT | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        tools_strict: bool | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Answers a conversation.

        :param messages: The conversation, or a text from the user; an empty one gets no replies.
        :param streaming_callback: Called with every chunk, instead of the component's own.
        :param generation_kwargs: As those of the component; they win, key by key.
        :param tools: Tools instead of the component's own; `[]` for none.
        :param tools_strict: Whether the model must keep to the tools' schemas; `None` leaves it to
            the component.
        :returns: `replies`: a message for each of the model's answers.
        """
        given = Given(
            streaming_callback=streaming_callback,
            generation_kwargs=generation_kwargs,
            tools=tools,
            tools_strict=tools_strict,
        )
        return chat(self._call(messages, given))

    @component.output_types(replies=list[ChatMessage])
    async def run_async(
        self,
        messages: list[ChatMessage] | str,
        streaming_callback: StreamingCallbackT | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: ToolsType | None = None,
        tools_strict: bool | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """The async twin of `run`; the callback may be a coroutine function."""
        given = Given(
            streaming_callback=streaming_callback,
            generation_kwargs=generation_kwargs,
            tools=tools,
            tools_strict=tools_strict,
            in_loop=True,
        )
        return await achat(self._call(messages, given))
