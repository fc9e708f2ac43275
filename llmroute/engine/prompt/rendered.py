"""A conversation as its model's chat template writes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...providers.base import LocalCall
from ..answers.rules import with_tools_told
from ..gguf.header import GGUFHeader
from ..options.vision_formats import template_of
from ..templates.chat import choose_template, render_chat
from ..templates.effort import effort_variables
from ..templates.renderer import bounded
from ..tools.definitions import Tools
from ..vision.images import Images, Place
from ..vocabulary.control_tokens import ControlTokens, Segment


@dataclass(frozen=True)
class RenderedChat:
    """A conversation in text and images, ready for the tokenizer."""

    pieces: tuple[Segment | Place, ...]
    images: list[bytes]
    """What the places stand for, by their number."""
    add_special: bool
    """Whether the tokenizer is to add the model's own first token."""

    @cached_property
    def text(self) -> str:
        """All of it but the images."""
        return "".join(piece.text for piece in self.pieces if isinstance(piece, Segment))


def rendered_chat(call: LocalCall, header: GGUFHeader, control: ControlTokens) -> RenderedChat:
    """The conversation of a chat, rendered. May take some seconds, and touches no native object.

    Raises `BadRequestError` for messages, tools or a template that cannot be used, and for a
    template that takes too long or too much memory.
    """
    tools = Tools.parse(call.params)
    chosen = call.params.get("chat_template") or template_of(call.load)
    images = Images()
    messages = images.take(call.prompt)
    template = choose_template(header, chosen, with_tools=tools is not None)
    effort = effort_variables(call.params.get("reasoning_effort"), template)
    with bounded():
        rendered = render_chat(
            with_tools_told(messages, tools, template),
            template,
            control,
            tools=tools.definitions if tools else None,
            variables={**effort, **(call.params.get("chat_template_kwargs") or {})},
        )
    pieces = images.split(rendered.segments or [Segment("", parse_special=True)])
    if rendered.add_special and (not pieces or isinstance(pieces[0], Place)):
        pieces.insert(0, Segment("", parse_special=True))  # for the model's own first token
    return RenderedChat(tuple(pieces), images.data, rendered.add_special)
