"""One prompt, as the model reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..answers.prompt_logprobs import PromptLogprobs
from ..vision.encoder import Picture


@dataclass(eq=False, slots=True)
class Prompt:
    """One prompt of a call; its choices share what is computed of it."""

    tokens: list[int]
    text: str
    """What `echo` gives back."""
    pictures: dict[int, Picture] = field(default_factory=dict)
    """Images, by where they begin in `tokens`, which holds a number for each of their positions."""
    cached: int | None = None
    """Tokens that needed no computing; `None` until its first answer starts."""
    logprobs: PromptLogprobs | None = None
    """How likely its tokens are, if that is wanted."""

    @property
    def logprobs_pending(self) -> bool:
        """Whether the outcome after every token is wanted, so that all must be computed."""
        return self.logprobs is not None and not self.logprobs.complete

    def whole(self, length: int) -> int:
        """The most of its first `length` tokens that ends within no image."""
        for start, picture in self.pictures.items():
            if start < length < start + picture.positions:
                return start
        return length

    @property
    def size(self) -> int:
        """Tokens it counts as, images included."""
        hidden = (picture.cells - picture.positions for picture in self.pictures.values())
        return len(self.tokens) + sum(hidden)
