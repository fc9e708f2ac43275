"""Content blocks of Bedrock's Converse API, for tests; and the official model as their judge."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

TEXT = {"text": "Bees fly. "}
THINKING = {"reasoningContent": {"reasoningText": {"text": "Let me look.", "signature": "c2ln"}}}
REDACTED = {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}}
CALL = {"toolUse": {"toolUseId": "tooluse_1", "name": "look_up", "input": {"q": "bees", "n": 3}}}
BARE_CALL = {"toolUse": {"toolUseId": "tooluse_2", "name": "now", "input": {}}}
SERVER_CALL = {
    "toolUse": {
        "toolUseId": "srv_1",
        "name": "nova_grounding",
        "input": {"q": "bees"},
        "type": "server_tool_use",
    }
}
SERVER_RESULT = {
    "toolResult": {"toolUseId": "srv_1", "content": [{"text": "found"}], "status": "success"}
}
CITED = {
    "citationsContent": {
        "content": [{"text": "They sting."}],
        "citations": [
            {"title": "Bees", "location": {"web": {"url": "https://bees.example/"}}},
        ],
    }
}
UNKNOWN = {"futureBlock": {"a": [1, {"b": None}]}}
EVERY_BLOCK = [THINKING, REDACTED, TEXT, SERVER_CALL, SERVER_RESULT, CITED, CALL, BARE_CALL]

_SESSION = botocore.session.Session()
_SERVICE = _SESSION.get_service_model("bedrock-runtime")


def operation(name: str) -> OperationModel:
    """The official model of an operation."""
    return _SERVICE.operation_model(name)


def problems(body: dict[str, Any], name: str = "Converse") -> str:
    """What the official model has against a request's body; `""` if nothing."""
    shape = operation(name).input_shape
    params = {**_native(body, shape), "modelId": "m"}
    unknown = list(_unknown(body, shape, ""))
    report = ParamValidator().validate(params, shape)
    return "\n".join([*unknown, report.generate_report()]).strip()


def _native(value: Any, shape: Shape) -> Any:
    """JSON as the types of Python that the official client takes."""
    match shape.type_name:
        case "blob":
            return base64.b64decode(value, validate=True)
        case "structure" if not shape.metadata.get("document"):
            known = {k: v for k, v in value.items() if k in shape.members}
            return {k: _native(v, shape.members[k]) for k, v in known.items()}
        case "list":
            return [_native(item, shape.member) for item in value]
    return value


def _unknown(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """Keys that the official model does not have: its validator passes them over."""
    if shape.type_name == "structure" and not shape.metadata.get("document"):
        for key, item in value.items():
            if key not in shape.members:
                yield f"unknown: {where}.{key}"
            else:
                yield from _unknown(item, shape.members[key], f"{where}.{key}")
    elif shape.type_name == "list":
        for item in value:
            yield from _unknown(item, shape.member, f"{where}[]")


def as_json(value: Any) -> Any:
    """What the official client gives, as JSON has it."""
    return json.loads(json.dumps(value, default=lambda data: base64.b64encode(data).decode()))
