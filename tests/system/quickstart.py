"""The steps of `docs/quickstart.md`: commands and documented responses."""

import json
import re
from dataclasses import dataclass
from typing import Any

from luna.embedded.addresses import CHECKOUT

QUICKSTART = CHECKOUT / "docs" / "quickstart.md"
BLOCK = re.compile(
    r"^```bash\n(?P<script>.*?)^```\n(?:```json(?: (?P<status>\d{3}))?\n(?P<answer>.*?)^```\n)?", re.M | re.S
)


@dataclass(frozen=True)
class Step:
    """A block of commands, and status and body of the last answer as documented."""

    script: str
    status: int | None
    answer: Any


def steps() -> list[Step]:
    found = BLOCK.finditer(QUICKSTART.read_text(encoding="utf-8"))
    return [
        Step(
            block["script"],
            status=int(block["status"]) if block["status"] else None,
            answer=json.loads(block["answer"]) if block["answer"] else None,
        )
        for block in found
    ]
