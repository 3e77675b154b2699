"""JSON bodies of bounded size: DRF reads all of one into memory."""

from typing import IO, Any

from rest_framework.parsers import JSONParser

from ops.errors import PlatformError


class BodyBytesLimit(PlatformError):
    """The body is longer than any sensible request of its kind."""

    code = "body_bytes_limit"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body of this request may have {limit / 1_048_576:.4g} MB.")


class BoundedJSONParser(JSONParser):
    """Refuses by the announced length, before anything is read; without one there is no body."""

    bytes_max = 1024 * 1024

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        length = str(parser_context["request"].META.get("CONTENT_LENGTH") or "0")
        if not length.isdecimal() or int(length) > self.bytes_max:
            raise BodyBytesLimit(self.bytes_max)
        return super().parse(stream, media_type, parser_context)
