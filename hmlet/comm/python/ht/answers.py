"""Reads typed values out of the API's JSON, or says what is wrong with it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import NoReturn, TypeAlias

from ht.errors import AnswerNotUnderstood, ApiError, Throttled, api_error_class

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def parse_json(content: bytes, *, what: str) -> Json:
    """The JSON in ``content``; raises AnswerNotUnderstood naming ``what`` was asked (``GET /api/v1/photos/``)."""
    try:
        answer: Json = json.loads(content)
    except (ValueError, RecursionError):
        raise AnswerNotUnderstood(f"{what} answered with {len(content)} bytes that are no JSON") from None
    return answer


def parse_error(status: int, content: bytes, *, retry_after_s: float | None, secrets: tuple[str, ...]) -> ApiError:
    """The exception for an answer of 400 and up, whoever wrote it: the API in its JSON, or a proxy in HTML.

    ``secrets`` are blotted out, should the server repeat them.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    return error_from_json(status, body, retry_after_s=retry_after_s, secrets=secrets)


def error_from_json(
    status: int, value: Json, *, retry_after_s: float | None = None, secrets: tuple[str, ...] = ()
) -> ApiError:
    """The exception for the API's error body, which may stand inside of another answer."""
    body = value if isinstance(value, dict) else {}

    def clean(value: object) -> str:
        text = value if isinstance(value, str) else ""
        for secret in secrets:
            text = text.replace(secret, "***")
        return text

    fields = body.get("errors")
    error = api_error_class(status)(
        status,
        code=clean(body.get("code")),
        message=clean(body.get("message")),
        request_id=clean(body.get("request_id")),
        field_errors={
            clean(name): tuple(clean(reason) for reason in (reasons if isinstance(reasons, list) else [reasons]))
            for name, reasons in (fields if isinstance(fields, dict) else {}).items()
        },
    )
    if isinstance(error, Throttled):
        error.retry_after_s = retry_after_s
    return error


class Fields:
    """A JSON object, its fields taken by type. Fields that nobody takes are ignored: a newer server may have more.

    >>> Fields({"id": 7, "new": True}, what="photo").integer_or_none("id")
    7
    """

    def __init__(self, value: Json, *, what: str) -> None:
        if not isinstance(value, dict):
            raise AnswerNotUnderstood(f"{what}: expected an object, got {_kind(value)}")
        self._value = value
        self._what = what

    def text(self, name: str) -> str:
        value = self._required(name)
        return value if isinstance(value, str) else self._wrong(name, "a string")

    def text_or_none(self, name: str) -> str | None:
        return None if self._value.get(name) is None else self.text(name)

    def value_or_none(self, name: str) -> Json:
        """Whatever is there, for somebody else to read."""
        return self._value.get(name)

    def flag(self, name: str) -> bool:
        value = self._required(name)
        return value if isinstance(value, bool) else self._wrong(name, "true or false")

    def identifier(self, name: str) -> int | str:
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int | str):
            return self._wrong(name, "a number or a string")
        return value

    def integer(self, name: str) -> int:
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong(name, "a whole number")
        return value

    def integer_or_none(self, name: str) -> int | None:
        value = self._value.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            return self._wrong(name, "a whole number")
        return value

    def number(self, name: str) -> float:
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._wrong(name, "a number")
        return float(value)

    def moment_or_none(self, name: str) -> datetime | None:
        """An aware datetime from ISO 8601 with an offset."""
        text = self.text_or_none(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return self._wrong(name, "a time in ISO 8601")
        return moment if moment.tzinfo is not None else self._wrong(name, "a time with an offset")

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; empty when absent."""
        value = self._value.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            return self._wrong(name, "a list of strings")
        texts = tuple(item for item in value if isinstance(item, str))
        return texts if len(texts) == len(value) else self._wrong(name, "a list of strings")

    def items(self, name: str) -> list[Json]:
        value = self._required(name)
        return value if isinstance(value, list) else self._wrong(name, "a list")

    def texts_of(self, name: str) -> dict[str, str]:
        """An object with strings inside."""
        value = self._required(name)
        if not isinstance(value, dict):
            return self._wrong(name, "an object")
        texts = {key: text for key, text in value.items() if isinstance(text, str)}
        return texts if len(texts) == len(value) else self._wrong(name, "an object of strings")

    def texts_by_name(self, name: str) -> dict[str, dict[str, str]]:
        """Two levels of objects with strings inside; empty when absent, other values inside ignored."""
        value = self._value.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            return self._wrong(name, "an object")
        return {
            outer: {inner: text for inner, text in texts.items() if isinstance(text, str)}
            for outer, texts in value.items()
            if isinstance(texts, dict)
        }

    def _required(self, name: str) -> Json:
        if name not in self._value:
            raise AnswerNotUnderstood(f"{self._what}: the field {name!r} is missing")
        return self._value[name]

    def _wrong(self, name: str, expected: str) -> NoReturn:
        raise AnswerNotUnderstood(f"{self._what}: the field {name!r} is {_kind(self._value.get(name))}, not {expected}")


def _kind(value: Json) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(type(value), "a number")
