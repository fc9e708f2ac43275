"""What models write in `<tool_call>` tags: JSON, `<function=...>` tags, or `<arg_key>` tags.

Models of one of these families sometimes write as another, so each is read wherever one is.
"""

from __future__ import annotations

from .objects import read_objects
from .pieces import Calls
from .source import Source, Steps
from .tagged import TagForm, tagged

CLOSER = "</tool_call>"
FUNCTION_TAGS = tagged(
    TagForm(
        name_end=">",
        key="<parameter=",
        key_end=">",
        value_end="</parameter>",
        call_end="</function>",
        lines=True,
        also_after=(CLOSER,),
    )
)
KEY_TAGS = tagged(
    TagForm(
        name_end="",
        key="<arg_key>",
        key_end="</arg_key>",
        key_tag_end="<arg_value>",
        value_end="</arg_value>",
        call_end=CLOSER,
    )
)


def read_tool_call(source: Source, calls: Calls) -> Steps[bool]:
    """A call behind `<tool_call>`, in any of the three ways."""
    yield from source.space()
    if (yield from source.starts("{", "[")) is not None:
        return (yield from read_objects(source, calls))
    if (yield from source.skip("<function=")):
        return (yield from FUNCTION_TAGS(source, calls))
    return (yield from KEY_TAGS(source, calls))
