"""A running platform and how to reach it."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from luna.embedded.addresses import CHECKOUT

ADMIN_LOGIN = "admin@luna.test"


@dataclass(frozen=True)
class Platform:
    """A running platform and how to reach it."""

    url: str
    var: Path
    environment: dict[str, str]
    admin_password: str

    def command(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`python -m luna.embedded VERB` for this platform."""
        return subprocess.run(
            [sys.executable, "-m", "luna.embedded", verb],
            env=self.environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
