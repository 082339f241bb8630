"""Columns of events in tables for spreadsheets."""

from collections.abc import Mapping

from apps.common.cells import array_cell, object_cell, text_cell, time_cell, word_cell, words_cell
from apps.common.filters.enums import Colour, Garment, ObjectType, PlainColour, SleeveLength

TABLE = "events_event"


def _of(column: str) -> str:
    return f"{TABLE}.{column}"


_TOP = ("top_similar_object_id", "top_matching_candidates_label", "top_similar_object_similarity",
        "top_similar_object_type", "top_similar_external_id")  # fmt: skip
_OF_FACE = f"{_of('top_similar_object_type')} = {ObjectType.FACE.value}"
_TOP_ID = f"""'"' || {_of("top_similar_object_id")} || '"'"""
_TOP_MEMBERS = {
    "label": f"to_json({_of('top_matching_candidates_label')})::text",
    "similarity": f"{_of('top_similar_object_similarity')}::text",
    "face_id": f"CASE WHEN {_OF_FACE} THEN {_TOP_ID} END",
    "event_id": f"CASE WHEN ({_OF_FACE}) IS NOT TRUE THEN {_TOP_ID} END",
    "external_id": f"to_json({_of('top_similar_external_id')})::text",
}
_TOP_MATCH = f"CASE WHEN num_nonnulls({', '.join(map(_of, _TOP))}) > 0 THEN {object_cell(_TOP_MEMBERS)} END"

PLAIN = (
    "handler_id", "face_id", "gender", "age", "emotion", "ethnic_group", "mask", "liveness", "latitude", "longitude",
    "account_id", "stream_id", "deepfake", "apparent_gender", "apparent_age", "headwear_state", "backpack_state",
    "match_result", "face_detections", "body_detections", "meta",
)  # fmt: skip
TEXTS = ("external_id", "user_data", "source", "track_id", "city", "area", "district", "street", "house_number")
TIMES = ("create_time", "end_time", "insert_time")
ARRAYS = ("attach_result", "tags")

EVENT_ID = _of("event_id")
EVENT_CELLS: Mapping[str, str] = {
    **{name: _of(name) for name in PLAIN},
    **{name: text_cell(_of(name)) for name in TEXTS},
    **{name: time_cell(_of(name)) for name in TIMES},
    **{name: array_cell(_of(name)) for name in ARRAYS},
    "top_match": _TOP_MATCH,
    "headwear_apparent_color": word_cell(_of("headwear_apparent_color"), PlainColour),
    "sleeve_length": word_cell(_of("sleeve_length"), SleeveLength),
    "upper_clothing_colors": words_cell(_of("upper_clothing_colors"), Colour),
    "lower_garment_type": word_cell(_of("lower_garment_type"), Garment),
    "lower_garment_colors": words_cell(_of("lower_garment_colors"), Colour),
    "shoes_apparent_color": word_cell(_of("shoes_apparent_color"), PlainColour),
}
"""SQL of each column, on the table `events_event`, as `event_body` shows the values."""
