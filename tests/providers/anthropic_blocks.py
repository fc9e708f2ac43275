"""Content blocks of every type that Anthropic's answers are made of."""

from __future__ import annotations

from typing import Any, TypeAlias

Block: TypeAlias = dict[str, Any]

TEXT: Block = {"type": "text", "text": "Bees dance in figures of eight. 🐝"}
THINKING: Block = {
    "type": "thinking",
    "thinking": "The user asks about bees.",
    "signature": "EqQBCgI=",
}
REDACTED: Block = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4a"}
CALL: Block = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "look_up",
    "input": {"q": "bees", "n": 2.0},
}
BARE_CALL: Block = {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}
SEARCH: Block = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "bee dance"},
}
FOUND: Block = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "title": "Bees",
            "url": "https://bees.example/",
            "encrypted_content": "EvoFCioIBxgC",
            "page_age": None,
        }
    ],
}
CITED: Block = {
    "type": "text",
    "text": "They waggle.",
    "citations": [
        {
            "type": "web_search_result_location",
            "cited_text": "Bees waggle.",
            "url": "https://bees.example/",
            "title": "Bees",
            "encrypted_index": "Eo8BCioI",
        },
        {
            "type": "char_location",
            "cited_text": "waggle",
            "document_index": 0,
            "document_title": None,
            "start_char_index": 5,
            "end_char_index": 11,
            "file_id": None,
        },
    ],
}
RAN: Block = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "srvtoolu_2",
    "content": {
        "type": "bash_code_execution_result",
        "stdout": "8\n",
        "stderr": "",
        "return_code": 0,
        "content": [],
    },
}
UPLOAD: Block = {"type": "container_upload", "file_id": "file_1"}

EVERY_BLOCK: list[Block] = [
    TEXT,
    THINKING,
    REDACTED,
    CALL,
    BARE_CALL,
    SEARCH,
    FOUND,
    CITED,
    RAN,
    UPLOAD,
]
"""Those that the official client knows too."""

UNKNOWN: Block = {"type": "dance", "figure": {"loops": [8, None], "angle": 40.5}}
"""One of a type that nobody knows yet."""
