"""What the OpenAPI schema says of all operations alike."""

from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")


_SHAPE = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_UNAVAILABLE = {
    "description": (
        "A part of the platform does not answer at the moment, and `code` says which: `database_unavailable`, or "
        "`storage_unavailable`. Ask again after `Retry-After` seconds; a change under the same `Idempotency-Key`, "
        "because it may have been made."
    ),
    "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
    "content": _SHAPE,
}


def errors_everywhere(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular: whatever goes wrong, in any operation, the answer has the one shape for errors."""
    for operations in result["paths"].values():
        for method in METHODS:
            if method in operations:
                operations[method]["responses"]["503"] = _UNAVAILABLE
                operations[method]["responses"].setdefault(
                    "default", {"description": "Whatever else goes wrong.", "content": _SHAPE}
                )
    return result
