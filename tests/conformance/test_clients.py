"""Generators of clients build clients of every operation from the OpenAPI document, and the clients compile."""

import re
import sys
from pathlib import Path

import pytest

from tests.conformance.clients import compile_typescript, generate_python, generate_typescript, run
from tests.conformance.document import plain

IMPORT_ALL = """
import importlib, pkgutil
import luna_client
for module in pkgutil.walk_packages(luna_client.__path__, "luna_client."):
    importlib.import_module(module.name)
"""
PROGRAM = """
import type { components, paths } from "./luna";

type Detections = paths["/6/detector"]["post"]["responses"][201]["content"]["application/json"];

export function sampleIds(answer: Detections): (string | null)[] {
  return answer.images.flatMap((image) =>
    image.detections.samples.map((sample) => (sample.face ? sample.face.sample_id : null)),
  );
}

export function yaw(face: components["schemas"]["FaceAttributes"]): number | undefined {
  return face.head_pose?.yaw;
}
"""


def operations() -> set[str]:
    return {operation["operationId"] for methods in plain()["paths"].values() for operation in methods.values()}


@pytest.mark.slow
def test_openapi_python_client(tmp_path: Path) -> None:
    project = generate_python(tmp_path)
    run(sys.executable, "-W", "error::SyntaxWarning", "-m", "compileall", "-q", str(project), cwd=tmp_path)
    run(sys.executable, "-c", IMPORT_ALL, cwd=project)
    generated = {path.stem for path in (project / "luna_client" / "api").glob("*/*.py")} - {"__init__"}
    assert generated == operations()


@pytest.mark.slow
def test_openapi_typescript(tmp_path: Path) -> None:
    project = generate_typescript(tmp_path)
    (project / "program.ts").write_text(PROGRAM)
    compile_typescript(project, "program.ts")
    types = (project / "luna.d.ts").read_text()
    assert set(re.findall(r'operations\["(\w+)"\]', types)) == operations()
