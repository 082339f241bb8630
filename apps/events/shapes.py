"""API form of stored events: conversion of columns to members."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, NotRequired, TypedDict, cast

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters.enums import (
    ApparentGender,
    Colour,
    Deepfake,
    Emotion,
    EthnicGroup,
    Garment,
    Gender,
    Liveness,
    Mask,
    Number,
    ObjectType,
    PlainColour,
    Presence,
    SleeveLength,
)
from apps.common.json_types import Component, IdJson, Json, TimeJson, numbers, words
from apps.common.times import format_time
from apps.events.models import Event
from apps.events.types import EventDraft


class TopMatchJson(TypedDict):
    """The most similar object of all match policies."""

    label: str | None
    similarity: float | None
    face_id: Annotated[IdJson | None, "The face, if the most similar object is one."]
    event_id: Annotated[IdJson | None, "The event, if the most similar object is one."]
    external_id: str | None


class StoredBodyBasicAttributesJson(TypedDict):
    apparent_age: int | None
    apparent_gender: Annotated[int, numbers(ApparentGender)] | None


class StoredHeadwearJson(TypedDict):
    state: Annotated[int, numbers(Presence)] | None
    apparent_color: Annotated[str, words(PlainColour)] | None


class StoredSleeveJson(TypedDict):
    length: Annotated[str, words(SleeveLength)] | None


class StoredUpperClothingJson(TypedDict):
    colors: list[Annotated[str, words(Colour)]] | None


class StoredUpperBodyJson(TypedDict):
    headwear: StoredHeadwearJson
    sleeve: StoredSleeveJson
    upper_clothing: StoredUpperClothingJson


class StoredLowerGarmentJson(TypedDict):
    type: Annotated[str, words(Garment)] | None
    colors: list[Annotated[str, words(Colour)]] | None


class StoredShoesJson(TypedDict):
    apparent_color: Annotated[str, words(PlainColour)] | None


class StoredLowerBodyJson(TypedDict):
    lower_garment: StoredLowerGarmentJson
    shoes: StoredShoesJson


class StoredBackpackJson(TypedDict):
    state: Annotated[int, numbers(Presence)] | None


class StoredAccessoriesJson(TypedDict):
    backpack: StoredBackpackJson


class GeoPositionJson(TypedDict):
    longitude: float
    latitude: float


class LocationJson(TypedDict):
    city: str | None
    area: str | None
    district: str | None
    street: str | None
    house_number: str | None
    geo_position: GeoPositionJson | None


class PlaceInPictureJson(TypedDict):
    rect: Annotated[Json, Component("Rect")]


class StoredDetectionJson(TypedDict):
    """A detection of a stored event. `sample_id` is null if the sample is not stored."""

    sample_id: IdJson | None
    detection: PlaceInPictureJson
    detect_time: TimeJson | None
    detect_ts: float | None
    image_origin: str | None


class MatchCandidateJson(TypedDict):
    """A matched face or event, with the members that the policy's `targets` select."""

    face: Annotated[Json, Component("Face")] | None
    event: "StoredEventJson | None"
    attribute: NotRequired[Annotated[Json, Component("MatchedAttribute")]]
    similarity: float


class LabelMatchesJson(TypedDict):
    """Matches of one match policy, most similar first."""

    label: str
    candidates: list[MatchCandidateJson]


class StoredEventJson(TypedDict, total=False):
    """A stored event. `targets` of the request select its members."""

    event_id: IdJson
    account_id: IdJson
    handler_id: IdJson | None
    source: str | None
    stream_id: IdJson | None
    track_id: str | None
    external_id: str
    user_data: str
    tags: list[str]
    create_time: TimeJson
    end_time: TimeJson
    insert_time: TimeJson
    face_id: IdJson | None
    gender: Annotated[int, numbers(Gender)] | None
    age: int | None
    emotion: Annotated[int, numbers(Emotion)] | None
    ethnic_group: Annotated[int, numbers(EthnicGroup)] | None
    mask: Annotated[int, numbers(Mask)] | None
    liveness: Annotated[int, numbers(Liveness)] | None
    deepfake: Annotated[int, numbers(Deepfake)] | None
    attach_result: Annotated[list[IdJson], "Lists to which the face was attached."]
    top_match: TopMatchJson | None
    match_result: list[LabelMatchesJson]
    face_detections: list[StoredDetectionJson]
    body_detections: list[StoredDetectionJson]
    body_basic_attributes: StoredBodyBasicAttributesJson | None
    upper_body: StoredUpperBodyJson | None
    lower_body: StoredLowerBodyJson | None
    accessories: StoredAccessoriesJson | None
    location: LocationJson
    meta: Annotated[Json, "JSON object of the client."] | None


@dataclass(frozen=True, slots=True)
class Target:
    """Member of an event that `shape` builds from `columns`."""

    columns: tuple[str, ...]
    shape: Callable[[Event | EventDraft], Any]


def _same(column: str, convert: Callable[[Any], Any] | None = None) -> Target:
    value = attrgetter(column)
    return Target((column,), value if convert is None else lambda event: convert(value(event)))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _word(numbers: type[Number], value: int | None) -> str | None:
    return None if value is None else numbers(value).word


def _words(numbers: type[Number], values: Iterable[int] | None) -> list[str] | None:
    return None if values is None else [numbers(value).word for value in values]


def _block(*columns: str) -> Callable[[Callable[[Event | EventDraft], Any]], Target]:
    """Return a decorator for a member that is null if all its columns are null."""

    def target(shape: Callable[[Event | EventDraft], Any]) -> Target:
        def estimated(event: Event | EventDraft) -> Any:
            return shape(event) if any(getattr(event, column) is not None for column in columns) else None

        return Target(columns, estimated)

    return target


@_block(
    "top_similar_object_id",
    "top_matching_candidates_label",
    "top_similar_object_similarity",
    "top_similar_object_type",
    "top_similar_external_id",
)
def _top_match(event: Event | EventDraft) -> TopMatchJson:
    of_face = event.top_similar_object_type == ObjectType.FACE
    object_id = _text(event.top_similar_object_id)
    return {
        "label": event.top_matching_candidates_label,
        "similarity": event.top_similar_object_similarity,
        "face_id": object_id if of_face else None,
        "event_id": None if of_face else object_id,
        "external_id": event.top_similar_external_id,
    }


@_block("apparent_age", "apparent_gender")
def _body_basic_attributes(event: Event | EventDraft) -> StoredBodyBasicAttributesJson:
    return {"apparent_age": event.apparent_age, "apparent_gender": event.apparent_gender}


@_block("headwear_state", "headwear_apparent_color", "sleeve_length", "upper_clothing_colors")
def _upper_body(event: Event | EventDraft) -> StoredUpperBodyJson:
    colour = _word(PlainColour, event.headwear_apparent_color)
    return {
        "headwear": {"state": event.headwear_state, "apparent_color": colour},
        "sleeve": {"length": _word(SleeveLength, event.sleeve_length)},
        "upper_clothing": {"colors": _words(Colour, event.upper_clothing_colors)},
    }


@_block("lower_garment_type", "lower_garment_colors", "shoes_apparent_color")
def _lower_body(event: Event | EventDraft) -> StoredLowerBodyJson:
    garment, colours = _word(Garment, event.lower_garment_type), _words(Colour, event.lower_garment_colors)
    return {
        "lower_garment": {"type": garment, "colors": colours},
        "shoes": {"apparent_color": _word(PlainColour, event.shoes_apparent_color)},
    }


@_block("backpack_state")
def _accessories(event: Event | EventDraft) -> StoredAccessoriesJson:
    return {"backpack": {"state": event.backpack_state}}


class StoredBodyAttributesJson(TypedDict, total=False):
    """Requested estimations of a body in their stored form: numbers and words instead of scores."""

    basic_attributes: StoredBodyBasicAttributesJson | None
    upper_body: StoredUpperBodyJson | None
    lower_body: StoredLowerBodyJson | None
    accessories: StoredAccessoriesJson | None


BODY_ATTRIBUTES: Mapping[str, Target] = {
    "basic_attributes": _body_basic_attributes,
    "upper_body": _upper_body,
    "lower_body": _lower_body,
    "accessories": _accessories,
}
"""Attributes of a body in their stored form, by their names inside a generated event."""


def top_match_shape(event: Event | EventDraft) -> TopMatchJson | None:
    """`top_match` of an event that is stored, or will be; None without a match."""
    shape: TopMatchJson | None = _top_match.shape(event)
    return shape


def location_shape(event: Event | EventDraft) -> LocationJson:
    """Return `location` of an event or a draft."""
    position: GeoPositionJson | None = None
    if event.longitude is not None and event.latitude is not None:
        position = {"longitude": event.longitude, "latitude": event.latitude}
    return {
        "city": event.city,
        "area": event.area,
        "district": event.district,
        "street": event.street,
        "house_number": event.house_number,
        "geo_position": position,
    }


PLACE = ("city", "area", "district", "street", "house_number", "longitude", "latitude")
TARGETS: Mapping[str, Target] = {
    "event_id": _same("event_id", _text),
    "account_id": _same("account_id", _text),
    "handler_id": _same("handler_id", _text),
    "source": _same("source"),
    "stream_id": _same("stream_id", _text),
    "track_id": _same("track_id"),
    "external_id": _same("external_id"),
    "user_data": _same("user_data"),
    "tags": _same("tags"),
    "create_time": _same("create_time", format_time),
    "end_time": _same("end_time", format_time),
    "insert_time": _same("insert_time", format_time),
    "face_id": _same("face_id", _text),
    "gender": _same("gender"),
    "age": _same("age"),
    "emotion": _same("emotion"),
    "ethnic_group": _same("ethnic_group"),
    "mask": _same("mask"),
    "liveness": _same("liveness"),
    "deepfake": _same("deepfake"),
    "attach_result": _same("attach_result", lambda ids: [str(each) for each in ids]),
    "top_match": _top_match,
    "match_result": _same("match_result"),
    "face_detections": _same("face_detections"),
    "body_detections": _same("body_detections"),
    "body_basic_attributes": _body_basic_attributes,
    "upper_body": _upper_body,
    "lower_body": _lower_body,
    "accessories": _accessories,
    "location": Target(PLACE, location_shape),
    "meta": _same("meta"),
}


def targets_check(targets: Collection[str]) -> None:
    """Validate names of members. Raises LunaError BAD_EVENT_TARGET for an unknown name."""
    for name in targets:
        if name not in TARGETS:
            raise LunaError(errors.BAD_EVENT_TARGET, name, ", ".join(TARGETS))


def targets_columns(targets: Collection[str]) -> tuple[str, ...]:
    """Return the columns of these members; an empty result means all columns."""
    return tuple(column for name in targets for column in TARGETS[name].columns)


def event_body(event: Event, targets: Collection[str] = ()) -> StoredEventJson:
    """Return the event with the members `targets`, or with all members if it is empty."""
    members = {name: target.shape(event) for name, target in TARGETS.items() if not targets or name in targets}
    return cast(StoredEventJson, members)
