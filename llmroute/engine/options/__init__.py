"""How to load a model: the options of `model_kwargs`, checked."""

from .load import LoadOptions

__all__ = ["LoadOptions"]
