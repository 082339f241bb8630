"""`manage.py similarity_matrix`."""

import io
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.unit.recognition.pictures import astronaut, encoded, samples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encoded(astronaut()))
    (tmp_path / "b.jpg").write_bytes(encoded(astronaut(), "JPEG", quality=60))
    (tmp_path / "c.jpg").write_bytes(samples()[1])
    (tmp_path / "d.jpg").write_bytes(b"no picture")
    return tmp_path


def printed(folder: Path, *options: str) -> tuple[list[list[float]], str, str]:
    """Return the rows of the triangle, the output, and the error output."""
    output, errors = io.StringIO(), io.StringIO()
    call_command("similarity_matrix", str(folder), *options, stdout=output, stderr=errors)
    rows = [re.findall(r"-?\d\.\d+", line) for line in output.getvalue().splitlines()[:-1]]
    return [[float(cell) for cell in row] for row in rows], output.getvalue(), errors.getvalue()


def test_every_pair_of_faces(folder: Path) -> None:
    rows, output, errors = printed(folder)
    assert [len(row) for row in rows] == [0, 1, 2, 3, 4]
    assert rows[1][0] > 0.95 > max(rows[2])
    assert "c.jpg (1)" in output
    assert "5 faces" in output
    assert "d.jpg" in errors


def test_cosines_of_the_best_faces(folder: Path) -> None:
    rows, output, _ = printed(folder, "--cosine", "--best")
    assert [len(row) for row in rows] == [0, 1, 2]
    assert rows[1][0] > 0.98 > max(rows[2])
    assert "c.jpg (1)" not in output


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no pictures"):
        printed(tmp_path)
