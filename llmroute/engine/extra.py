"""Says which extra is missing, before any module of the engine needs the packages of it.

llama.cpp's bindings are looked for when they are needed (`native.library`): headers can be read
without them.
"""

from __future__ import annotations

from ..errors import MissingExtraError

try:
    import jinja2  # noqa: F401  # only to see whether it is there
    import numpy  # noqa: F401  # the same, and llama-cpp-python brings it
except ImportError as error:
    raise MissingExtraError("llamacpp", "A model in this process") from error
