"""The OpenAPI document: operations by resource, typed components, an example of each body, the error responses."""

import inspect
import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction

from apps.common.api.examples import body_example
from apps.common.api.typed import is_json_type, schema_of
from apps.common.api.views import LunaView
from apps.common.errors.catalogue import ErrorBodyJson

ALWAYS = {
    400: "Invalid input; code and detail name the problem.",
    404: "The account has no such object.",
    405: "Method not allowed.",
    413: "The request is too large.",
    500: "Internal error of the platform.",
    503: "The platform is busy, or a service is unavailable: retry.",
}
WITH_CREDENTIALS = {
    401: "Wrong credentials.",
    403: "Credentials are missing, or lack the permission.",
    429: "Too many failed logins: retry later.",
}
ON_CHANGES = {
    408: "The body arrived too slowly.",
    409: "The object exists already, or was changed at the same time.",
    410: "The request was done before with this `Idempotency-Key`; its answer is no longer kept.",
    415: "Unsupported encoding of the body.",
    501: "Not supported by Luna; the detail names the part.",
}
ERROR_TEXTS = ALWAYS | WITH_CREDENTIALS | ON_CHANGES
SERVICE, ADMIN = "service", "admin"
NUMBERED = frozenset({"task_id", "subtask_id", "error_id", "schedule_id"})  # ids that are numbers
NUMBER = {"type": "integer", "minimum": 1}
TAGS = {
    "detector": "Detection of faces; it stores their samples.",
    "extractor": "Temporary attributes from stored face samples.",
    "sdk": "All estimations on request; nothing is stored.",
    "iso": "Checks of ISO/IEC 19794-5.",
    "liveness": "Liveness of faces.",
    "attributes": "Temporary attributes: descriptors and basic attributes with a time to live.",
    "faces": "Faces and their attributes.",
    "lists": "Lists of faces.",
    "samples": "Samples: aligned crops of faces and bodies.",
    "images": "Source images.",
    "objects": "Objects of any content type.",
    "handlers": "Handlers, and the generation of events by their policies.",
    "verifiers": "Verifiers, and verifications: a face against named candidates.",
    "matcher": "Similarities of faces, bodies and descriptors.",
    "events": "Stored events.",
    "ws": "Tickets of websockets.",
    "tasks": "Background tasks, their errors and results.",
    "erasures": "Erasure of everything about a person.",
    "accounts": "Accounts of clients.",
    "tokens": "Tokens with a part of an account's rights.",
    "credentials": "Verification of credentials.",
    "buckets": "Buckets of the Image Store, below `/1`.",
    ADMIN: "Accounts, tasks and data of all accounts, below `/4`; for administrators.",
    "license": "Features and limits of the license, below `/1`.",
    "settings": "Settings of the platform and of other software, below `/1`; for administrators.",
    SERVICE: "Version, features and health of the platform.",
}
"""Resources with their descriptions, in the order of the document. The first name in a path is the resource, but all
of `/4` are one."""
OTHER_TAGS = {
    "dump": "settings",
    "account": "accounts",
    "version": SERVICE,
    "features": SERVICE,
    "healthcheck": SERVICE,
    "metrics": SERVICE,
}
JSON_TYPE = "application/json"
CHOICE = re.compile(r"\* `(.*)` - (.*)")


def complete_document(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add what concerns the whole document: tags, the error responses that operations refer to, examples."""
    schemas = result["components"]["schemas"]
    content = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    responses = {f"Error{status}": {"description": text, "content": content} for status, text in ERROR_TEXTS.items()}
    result["components"]["responses"] = dict(sorted(responses.items()))
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    _tidy(result)
    for operation in (operation for methods in result["paths"].values() for operation in methods.values()):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            media = body.get("content", {}).get(JSON_TYPE)
            if media and "examples" not in media:
                media["example"] = body_example(media["schema"], schemas)
    return result


def _tidy(node: Any) -> None:
    """Remove what drf-spectacular adds to enumerations: its ids, and lines such as "* `view` - View"."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    elif isinstance(node, dict):
        node.pop("x-spec-enum-id", None)
        if isinstance(text := node.get("description"), str):
            lines = [line for line in text.split("\n") if not _repeats_value(line)]
            node["description"] = "\n".join(lines).strip()
            if not node["description"] and "enum" in node:
                del node["description"]
        for item in node.values():
            _tidy(item)


def _repeats_value(line: str) -> bool:
    found = CHOICE.fullmatch(line)
    return found is not None and found[1].casefold() == found[2].replace(" ", "_").casefold()


class LunaSchema(AutoSchema):
    """Describes operations: names after their views, tags after their paths, typed responses, errors."""

    view: LunaView  # type: ignore[override]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation:
            schema_of(self, ErrorBodyJson)
            texts = ALWAYS | WITH_CREDENTIALS | ({} if self.method == "GET" else ON_CHANGES)
            for status in sorted(texts):
                operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/Error{status}"})
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query" and parameter["schema"].get("type") == "array":
                    parameter |= {"style": "form", "explode": False}
        return operation

    def get_auth(self) -> list[dict[str, list[str]]]:
        if not self.view.is_public(self.method):
            return super().get_auth()
        return [*super().get_auth(), {}] if self.view.resource else []

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular takes no arguments
        """Return no description: docstrings of views are for developers. `extend_schema` describes operations."""
        return ""

    def get_operation_id(self) -> str:
        """Return `<method>_<view>`, with the suffix `_unversioned` for a path without a version prefix."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self.view).__name__.removesuffix("View")).lower()
        versioned = re.match(r"/\d+/", self.path)
        return f"{self.method.lower()}_{name}{'' if versioned else '_unversioned'}"

    def get_tags(self) -> list[str]:
        if self.path.startswith("/4/"):
            return [ADMIN]
        resource = re.sub(r"^/(\d+/)?", "", self.path).partition("/")[0]
        return [OTHER_TAGS.get(resource, resource)]

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        """Describe the ids of paths, which are UUIDs, and the names of buckets."""
        parameters: list[dict[str, Any]] = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]
        for parameter in parameters:
            kind, is_id, _ = parameter["name"].partition("_id")
            parameter["description"] = f"Id of the {kind}." if is_id else f"Name of the {kind}."
            if is_id:
                parameter["schema"] = NUMBER if parameter["name"] in NUMBERED else {"type": "string", "format": "uuid"}
        return parameters

    def get_request_serializer(self) -> Any:
        """Return no body, unless `extend_schema` names one."""
        return None

    def _get_request_body(self, direction: Direction = "request") -> Any:
        """Describe bodies of DELETE, too, which drf-spectacular omits. No operation has an optional body."""
        method = self.method
        self.method = "PUT" if method == "DELETE" else method
        try:
            body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method
        return body and body | {"required": True}

    def _get_response_for_code(self, serializer: Any, *args: Any, **kwargs: Any) -> Any:
        if is_json_type(serializer):
            serializer = schema_of(self, serializer)
        return super()._get_response_for_code(serializer, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> Any:
        """Describe a component by its own docstring, not by one of its bases', and add its example."""
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        kind = type(serializer)
        schema.pop("description", None)
        if own := kind.__dict__.get("__doc__"):
            schema = {"type": "object", "description": inspect.cleandoc(own)} | schema
        if getattr(kind, "free_members", False):
            schema["additionalProperties"] = {}
        if example := kind.__dict__.get("example"):
            schema["example"] = example
        return schema

    def get_serializer_name(self, serializer: Any, direction: Direction) -> str:
        """Return the name of a component: that of the class, or its attribute `component`."""
        return getattr(serializer, "component", None) or super().get_serializer_name(serializer, direction)

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        """Allow the empty string without `oneOf`, which generators of clients turn into a type of its own."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        if "oneOf" in schema and getattr(field, "allow_blank", False):
            schema |= next(iter(schema.pop("oneOf")))
