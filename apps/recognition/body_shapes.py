"""JSON blocks of bodies and of the people of a picture, the same in every resource that answers with them."""

from collections.abc import Callable, Mapping

from apps.common.descriptors import Descriptor, base64_encode, sdk_encode, versions
from apps.common.filters.enums import Presence
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.colours import UNKNOWN
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.estimators.upper_body import UpperBody
from apps.recognition.shapes import Json
from apps.recognition.types import Body


def body_detection_block(body: Body, shown: frozenset[str]) -> Json:
    """`detection` of a body: rectangle, score, and the estimated attributes that were asked for."""
    return {
        "rect": body.rect.json(),
        "score": round(body.score, 4),
        "attributes": body_attributes_block(body.estimations, shown),
    }


def body_attributes_block(estimations: Mapping[str, object], shown: frozenset[str]) -> Json:
    """The estimated ones of `BODY_ATTRIBUTES`, under the names that they have in answers."""
    return {
        answer: _block(name, estimations[name])
        for name, answer in BODY_ATTRIBUTES.items()
        if name in shown and name in estimations
    }


def people_block(value: PeopleCount, *, with_coordinates: bool) -> Json:
    """`{count, coordinates}`: without coordinates these are null."""
    return {
        "count": value.count,
        "coordinates": [list(point) for point in value.coordinates] if with_coordinates else None,
    }


def _block(name: str, value: object) -> Json:
    kind, shape = _SHAPES[name]
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return shape(value)


def _score(value: float) -> float:
    return round(value, 4)


def _basic_attributes(value: BodyBasicAttributes) -> Json:
    known = value.male is not None
    male = value.male or 0.0
    return {
        "apparent_age": value.age,
        "apparent_gender": {
            "predominant_gender": value.gender,
            "estimations": {
                "male": _score(male),
                "female": _score(1 - male) if known else 0.0,
                "unknown": float(not known),
            },
        },
    }


def _upper_body(value: UpperBody) -> Json:
    """Headwear is always unknown."""
    bare = None if value.sleeve == UNKNOWN else value.bare
    return {
        "headwear": {
            "predominant_state": Presence.UNKNOWN.word,
            "apparent_color": UNKNOWN,
            "estimations": {"yes": 0.0, "no": 0.0, "unknown": 1.0},
        },
        "sleeve": {
            "predominant_state": value.sleeve,
            "estimations": {
                "long": 0.0 if bare is None else _score(1 - bare),
                "short": 0.0 if bare is None else _score(bare),
                "unknown": float(bare is None),
            },
        },
        "upper_clothing": {"colors": list(value.colours)},
    }


def _lower_body(value: LowerBody) -> Json:
    return {
        "lower_garment": {"type": value.garment, "colors": list(value.colours)},
        "shoes": {"apparent_color": value.shoes},
    }


def _accessories(value: Accessories) -> Json:
    state = value.backpack_state
    known = state != UNKNOWN
    return {
        "backpack": {
            "predominant_state": state,
            "estimations": {
                "yes": _score(value.backpack) if known else 0.0,
                "no": _score(1 - value.backpack) if known else 0.0,
                "unknown": float(not known),
            },
        }
    }


def descriptor_block(value: Descriptor) -> Json:
    """Of a face or a body, in the SDK's form."""
    data = sdk_encode(value.vector, versions.get(value.version))
    return {"sdk_descriptor": base64_encode(data), "score": None if value.score is None else _score(value.score)}


_SHAPES: dict[str, tuple[type, Callable[..., Json]]] = {
    "body_descriptor": (Descriptor, descriptor_block),
    "body_basic_attributes": (BodyBasicAttributes, _basic_attributes),
    "upper_body": (UpperBody, _upper_body),
    "lower_body": (LowerBody, _lower_body),
    "accessories": (Accessories, _accessories),
}

# Names of estimators and of their blocks.
BODY_ATTRIBUTES: Mapping[str, str] = {name: name.removeprefix("body_") for name in _SHAPES}
