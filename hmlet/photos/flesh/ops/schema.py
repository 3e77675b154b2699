"""What the OpenAPI schema says of all operations alike."""

from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")


def errors_everywhere(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular: whatever goes wrong, in any operation, the answer has the one shape for errors."""
    answer = {
        "description": "Whatever else goes wrong.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for operations in result["paths"].values():
        for method in METHODS:
            if method in operations:
                operations[method]["responses"].setdefault("default", answer)
    return result
