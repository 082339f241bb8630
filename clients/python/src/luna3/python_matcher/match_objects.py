"""References and candidates of matching."""

# ruff: noqa: N803 (the names of luna3)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class FaceFilters:
    """Filters of faces. None: not sent."""

    def __init__(
        self,
        faceIds: Sequence[str] | None = None,
        listId: str | None = None,
        userData: str | None = None,
        createTimeGte: str | None = None,
        createTimeLt: str | None = None,
    ) -> None:
        self.asDict: dict[str, Any] = _sent(
            origin="faces",
            face_ids=None if faceIds is None else [*faceIds],
            list_id=listId,
            user_data=userData,
            create_time__gte=createTimeGte,
            create_time__lt=createTimeLt,
        )


class Candidates:
    """Candidates of matching."""

    def __init__(
        self,
        filters: FaceFilters,
        limit: int | None = None,
        threshold: float | None = None,
        targets: Sequence[str] | None = None,
    ) -> None:
        self.asDict: dict[str, Any] = _sent(
            filters=filters.asDict,
            limit=limit,
            threshold=threshold,
            targets=None if targets is None else [*targets],
        )


class Reference:
    """A reference of matching. `referenceType`: `face`, `attribute`, `event` and so on."""

    def __init__(self, referenceType: str, referenceId: str) -> None:
        self.asDict: dict[str, Any] = {"type": referenceType, "id": referenceId}


def _sent(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
