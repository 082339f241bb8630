"""The release is the content of the code, not its times."""

import os
from pathlib import Path

from luna.embedded.release import release


def test_the_release_changes_with_code_and_requirements_only(tmp_path: Path) -> None:
    for name in ("luna/a.py", "apps/b/c.json", "templates/d.html", "requirements.txt", "docs/e.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    first = release(tmp_path)
    os.utime(tmp_path / "luna" / "a.py", (1, 1))
    (tmp_path / "docs" / "e.md").write_text("two")
    (tmp_path / "luna" / "__pycache__").mkdir()
    (tmp_path / "luna" / "__pycache__" / "a.pyc").write_text("two")
    assert release(tmp_path) == first
    for name in ("luna/a.py", "apps/b/c.json", "requirements.txt"):
        (tmp_path / name).write_text("two")
        assert release(tmp_path) != first
        (tmp_path / name).write_text("one")
    (tmp_path / "apps" / "new.py").write_text("")
    assert release(tmp_path) != first


def test_the_release_of_this_checkout() -> None:
    assert release() == release()
