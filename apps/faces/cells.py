"""Columns of faces in tables for spreadsheets."""

from collections.abc import Mapping

from apps.common.cells import array_cell, text_cell, time_cell

TABLE = "faces_face"
# As `LISTS` of the selectors: ids of lists, oldest link first.
_LISTS = f"""ARRAY(
    SELECT l.list_id FROM faces_listface x JOIN faces_list l ON l.id = x.list_id
    WHERE x.face_id = {TABLE}.id ORDER BY x.id
)"""  # noqa: S608 (our own names)

FACE_ID = f"{TABLE}.face_id"
FACE_CELLS: Mapping[str, str] = {
    "user_data": text_cell(f"{TABLE}.user_data"),
    "create_time": time_cell(f"{TABLE}.create_time"),
    "lists": f"CASE WHEN {FACE_ID} IS NOT NULL THEN {array_cell(_LISTS)} END",
    "external_id": text_cell(f"{TABLE}.external_id"),
    "avatar": text_cell(f"{TABLE}.avatar"),
    "event_id": f"{TABLE}.event_id",
    "account_id": f"{TABLE}.account_id",
    "last_update_time": time_cell(f"{TABLE}.last_update_time"),
}
"""SQL of each column, on the table `faces_face`, as the API shows the values."""
