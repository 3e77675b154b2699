"""The items of a batch: what each may hold, and the change that it asks for."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from ops.errors import InvalidInput
from rest_framework import serializers, status
from rest_framework.request import Request

from gallery import selectors, services
from gallery.api.serializers import PhotoCreateSerializer, PhotoPatchSerializer, PhotoSerializer
from gallery.api.uploaded import upload_named
from gallery.models import Photo
from gallery.services import Along

ACTIONS = ("create", "edit", "publish", "unpublish", "delete")


class BatchItemSerializer(PhotoPatchSerializer):
    """``create`` takes what POST takes in JSON; the others name a photo, and ``edit`` takes what PATCH takes."""

    action = serializers.ChoiceField(choices=ACTIONS)
    id = serializers.UUIDField(required=False, help_text="The photo; of all but `create`.")


class BatchSerializer(serializers.Serializer[Any]):
    """What is to be done, in this order."""

    items = BatchItemSerializer(many=True)


class BatchErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))  # type: ignore[assignment]
    request_id = serializers.CharField()


class BatchResultSerializer(serializers.Serializer[Any]):
    """The status that the item would have had as a request of its own, and the photo or the error."""

    status = serializers.IntegerField()
    photo = PhotoSerializer(allow_null=True)
    error = BatchErrorSerializer(allow_null=True)


class BatchResultsSerializer(serializers.Serializer[Any]):
    """One result for each item, in the order of the items."""

    results = BatchResultSerializer(many=True)


class _Named(serializers.Serializer[Any]):
    id = serializers.UUIDField(error_messages={"required": "Say which photo."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``make`` does it, and calls its argument in its transaction."""

    status: int
    make: Callable[[Along | None], Photo | None]


def change_asked(request: Request, item: Any) -> Change:
    """The change that an item asks for. Raises ValidationError, InvalidInput, NotFound or Forbidden."""
    if not isinstance(item, Mapping):
        raise InvalidInput("An item is an object with an action.")
    action = item.get("action")
    if action not in ACTIONS:
        message = f"The action is one of {', '.join(ACTIONS)}."
        raise InvalidInput(message, errors={"action": [message]})
    if action == "create":
        owner = cast(AbstractBaseUser, request.user)
        given = _checked(request, PhotoCreateSerializer(data=item))
        return Change(
            status=status.HTTP_201_CREATED, make=lambda along: services.photo_create(owner=owner, **given, along=along)
        )
    named = _Named(data=item)
    named.is_valid(raise_exception=True)
    photo_id: uuid.UUID = named.validated_data["id"]
    changes = _checked(request, PhotoPatchSerializer(data=item, partial=True)) if action == "edit" else {}
    photo = selectors.photo_get_own(viewer=request.user, photo_id=photo_id)
    if action == "delete":
        return Change(
            status=status.HTTP_204_NO_CONTENT, make=lambda along: services.photo_delete(photo=photo, along=along)
        )
    if action == "publish":
        changes = {"draft": False}
    elif action == "unpublish":
        changes = {"draft": True}
    return Change(
        status=status.HTTP_200_OK, make=lambda along: services.photo_update(photo=photo, **changes, along=along)
    )


def _checked(request: Request, given: serializers.Serializer[Any]) -> dict[str, Any]:
    given.is_valid(raise_exception=True)
    values = dict(given.validated_data)
    if "image" in values:
        values["image"] = upload_named(request, values["image"])
    return values
