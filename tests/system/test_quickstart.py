"""`docs/quickstart.md` runs as it stands against a platform, and its answers have the shape that it shows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from tests.system.helpers import Platform
from tests.system.quickstart import steps

# Every curl also writes its HTTP status where the test finds it.
CURL = 'curl() { command curl -w "%{stderr}%{http_code}\\n" "$@" 2>>statuses; }\n'


def differences(documented: Any, actual: Any, path: str = "$") -> list[str]:
    """Where an answer is not shaped as documented. Lists are shown by their first items, ids and texts by a part."""
    if isinstance(documented, dict) and isinstance(actual, dict):
        if documented.keys() != actual.keys():
            return [f"{path}: keys {sorted(documented.keys() ^ actual.keys())}"]
        return [each for key in documented for each in differences(documented[key], actual[key], f"{path}.{key}")]
    if isinstance(documented, list) and isinstance(actual, list):
        if bool(documented) != bool(actual):
            return [f"{path}: {len(actual)} items"]
        pairs = zip(documented, actual, strict=False)
        return [each for n, pair in enumerate(pairs) for each in differences(*pair, f"{path}[{n}]")]
    kinds = {int: "number", float: "number", type(None): "null", str: "text"}
    shown, given = (kinds.get(type(value), type(value).__name__) for value in (documented, actual))
    return [] if shown == given else [f"{path}: {given}, documented {shown}"]


def test_differences_are_found() -> None:
    assert differences({"a": [1, "x…"], "b": None}, {"a": [2.5, "y", 3], "b": None}) == []
    assert differences({"a": 1}, {"a": "1"}) == ["$.a: text, documented number"]
    assert differences({"a": [1]}, {"a": []}) == ["$.a: 0 items"]
    assert differences({"a": 1}, {"b": 1}) == ["$: keys ['a', 'b']"]


def test_the_commands_run_and_answer_as_documented(platform: Platform, tmp_path: Path) -> None:
    keep = "cp answer.json {n}.json; tail -n 1 statuses >{n}.status\n"
    script = CURL + "".join(f"{step.script}\n{keep.format(n=n)}" for n, step in enumerate(steps()))
    environment = os.environ | {
        "LUNA": platform.url,
        "PYTHON": sys.executable,
        "PHOTOS": str(sample_photographs(config(Directories).cache)[0].parent),
    }
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, timeout=120, check=False)
    statuses = [int(status) for status in (tmp_path / "statuses").read_text().split()]

    assert done.returncode == 0
    assert len([step for step in steps() if step.answer]) >= 13
    assert statuses[-1] == 204
    assert [status for status in statuses if status >= 400] == [404]
    for n, step in enumerate(steps()):
        if step.answer is None:
            continue
        answer = json.loads((tmp_path / f"{n}.json").read_text())
        assert differences(step.answer, answer) == [], step.script
        assert step.status in (None, int((tmp_path / f"{n}.status").read_text())), step.script
        if "/6/matcher/faces" in step.script:
            assert answer[0]["matches"][0]["result"][0]["similarity"] > 0.85
        if "/events?source=gate" in step.script:
            assert answer["events"][0]["tags"] == ["known"]
