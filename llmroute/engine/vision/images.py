"""Images in messages: which bytes, and where in the prompt."""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...errors import BadRequestError
from ...tokens.images import image_size
from ..vocabulary.control_tokens import Segment

JSON: TypeAlias = Any

_MOST_PIXELS = 1 << 26
"""Of one image; a few bytes of a file can claim many more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image goes in the prompt."""

    number: int
    """Which of the call's images, in their order."""


@dataclass(slots=True)
class Images:
    """The images of one conversation, each taken out of its message for a mark.

    The mark is a text that no template changes and nobody can guess, so no other text can stand for
    an image.
    """

    data: list[bytes] = field(default_factory=list)
    _nonce: str = field(default_factory=lambda: str(secrets.randbelow(10**18)))

    def take(self, messages: Sequence[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
        """`messages` with one text for every content that has images.

        Raises `BadRequestError` for an image in a message that is not the user's.
        """
        return [self._marked(message) if _has_image(message) else message for message in messages]

    def _marked(self, message: Mapping[str, JSON]) -> Mapping[str, JSON]:
        if message.get("role") != "user":
            raise BadRequestError(
                f"A message of role {message.get('role')!r} cannot have images; put them into one "
                "of role 'user'.",
                param="messages",
            )
        text, after_image = "", True
        for part in message["content"]:
            if is_image(part):
                text += f"\ue002{self._nonce}-{len(self.data)}\ue003"
                self.data.append(part["data"])
                after_image = True
            else:
                # Texts on lines of their own, as without images; an image stands where it is put.
                text += ("" if after_image else "\n") + _text_of(part)
                after_image = False
        return {**message, "content": text}

    def split(self, segments: Sequence[Segment]) -> list[Segment | Place]:
        """The rendered prompt with its images.

        Raises `BadRequestError` if the template did not keep them all, once and in their order.
        """
        pieces = [piece for segment in segments for piece in self._pieces(segment)]
        numbers = [piece.number for piece in pieces if isinstance(piece, Place)]
        if numbers != list(range(len(self.data))):
            raise BadRequestError(
                "The model's chat template does not keep the messages' images in their order. Pass "
                "another one as chat_template=.",
                param="messages",
            )
        if pieces and isinstance(pieces[-1], Place):
            raise BadRequestError(
                "The chat template writes nothing after the last image, where the answer would "
                "begin. Put a text after it, or pass another chat_template=.",
                param="messages",
            )
        return pieces

    def _pieces(self, segment: Segment) -> Iterator[Segment | Place]:
        for number, part in enumerate(
            re.split(f"\ue002{self._nonce}-([0-9]+)\ue003", segment.text)
        ):
            if number % 2:
                yield Place(int(part))
            elif part:
                yield Segment(part, segment.parse_special)


def is_image(part: JSON) -> bool:
    """Whether a part of a message's content is an image whose bytes are there."""
    return isinstance(part, Mapping) and part.get("type") == "image" and "data" in part


def _has_image(message: Mapping[str, JSON]) -> bool:
    content = message.get("content")
    return isinstance(content, list | tuple) and any(map(is_image, content))


def _text_of(part: JSON) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(text, str):
        raise BadRequestError(
            f"A part of a message's content must be a text or an image, not {part!r:.100}.",
            param="messages",
        )
    return text


def check_image(data: bytes) -> None:
    """Raises `BadRequestError` for bytes that are no PNG, JPEG, GIF or BMP of a sensible size.

    Anything else must not reach the decoder, which would try its luck with audio and video.
    """
    size = _pixels(data)
    if size is None:
        raise BadRequestError(
            "An image is damaged, or none of PNG, JPEG, GIF and BMP. Convert it to one of them.",
            param="messages",
        )
    width, height = size
    if not 0 < width * height <= _MOST_PIXELS:
        raise BadRequestError(
            f"An image of {width} by {height} pixels is too large; at most {_MOST_PIXELS:,} pixels "
            "are taken.",
            param="messages",
        )


def _pixels(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)  # top-down ones have a negative height
        return abs(width), abs(height)
    if data.startswith(b"RIFF"):  # WebP, which llama.cpp does not read
        return None
    return image_size(data)
