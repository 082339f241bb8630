"""Clients generated from the OpenAPI document."""

import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from django.conf import settings

from apps.common.config import Directories, config
from tests.conformance.document import SNAPSHOT

CONFIGURATION = Path(settings.BASE_DIR) / "docs" / "openapi-python-client.yml"
NPM_PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3", "openapi-fetch@0.17.0", "@types/node@20.19.43")
JAVA_PROPERTIES = (
    "openApiNullable=false,hideGenerationTimestamp=true,useJakartaEe=true,containerDefaultToNull=true,useSingleRequestParameter=static,"
    "invokerPackage=luna.client,apiPackage=luna.client.api,modelPackage=luna.client.model"
)
JAVA_PARTS = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false,skipFormModel=false"
# The generated sources carry these annotations; the generator's own archive has all other classes that they need.
JAVA_ANNOTATIONS = {
    "Nonnull": "public @interface Nonnull {}",
    "Nullable": "public @interface Nullable {}",
    "Generated": 'public @interface Generated { String[] value(); String comments() default ""; }',
}


def generate_python(directory: Path) -> Path:
    """Generate the Python package `luna_client`; return the directory that contains it."""
    project = directory / "python"
    command = (sys.executable, "-m", "openapi_python_client", "generate", "--path", str(SNAPSHOT))
    run(*command, "--config", str(CONFIGURATION), "--output-path", str(project), cwd=directory)
    return project


def generate_typescript(directory: Path) -> Path:
    """Generate `luna.d.ts` beside the npm packages that use it; return the directory."""
    modules = npm_tools()
    project = directory / "typescript"
    project.mkdir()
    (project / "node_modules").symlink_to(modules)
    command = (str(modules / ".bin" / "openapi-typescript"), str(SNAPSHOT), "--default-non-nullable=false")
    run(*command, "-o", "luna.d.ts", cwd=project)
    return project


def compile_typescript(project: Path, program: str) -> None:
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--moduleResolution", "node", "--skipLibCheck")
    run(str(project / "node_modules" / ".bin" / "tsc"), *options, program, cwd=project)


def generate_java(directory: Path) -> str:
    """Generate the Java package `luna.client` and compile all of it; return the class path. Skip without a JDK."""
    if shutil.which("javac") is None:
        pytest.skip("javac is not installed")
    archive = files("openapi_generator_cli") / "openapi-generator.jar"
    project = directory / "java"
    generator = ("java", "-jar", str(archive), "generate", "-g", "java", "--library", "native", "-i", str(SNAPSHOT))
    options = (f"--additional-properties={JAVA_PROPERTIES}", f"--global-property={JAVA_PARTS}")
    run(*generator, *options, "-o", str(project), cwd=directory)
    annotations = project / "src/main/java/jakarta/annotation"
    annotations.mkdir(parents=True)
    for name, declaration in JAVA_ANNOTATIONS.items():
        (annotations / f"{name}.java").write_text(f"package jakarta.annotation; {declaration}")
    sources = project / "sources.txt"
    sources.write_text("\n".join(str(path) for path in (project / "src/main/java").rglob("*.java")))
    classes = project / "classes"
    run("javac", "-proc:none", "-nowarn", "-cp", str(archive), "-d", str(classes), f"@{sources}", cwd=project)
    return f"{classes}:{archive}"


def npm_tools() -> Path:
    """Return `node_modules` with the npm packages, installed at the first use. Skip without Node or registry."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    tools = config(Directories).cache / "clients"
    if not all((tools / "node_modules" / package.rpartition("@")[0]).exists() for package in NPM_PACKAGES):
        tools.mkdir(parents=True, exist_ok=True)
        install = ("npm", "install", "--no-audit", "--no-fund", "--prefix", str(tools), *NPM_PACKAGES)
        done = subprocess.run(install, cwd=tools, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install {', '.join(NPM_PACKAGES)}: {done.stderr[-300:]}")
    return tools / "node_modules"


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr
