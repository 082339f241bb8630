"""The documentation keeps up with the manifests."""

import re
import tomllib
from pathlib import Path

from apps.recognition.networks.manifest import load_manifests, read_manifest
from apps.recognition.networks.tables import Table

DOCS = Path(__file__).resolve().parents[4] / "docs"


def test_every_network_has_its_licence_listed() -> None:
    page = (DOCS / "licences.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for name, manifest in load_manifests().items():
        (row,) = [row for row in rows if re.search(rf"^\| [^|]*\b{re.escape(name)}\b[^|]*\|", row)]
        if manifest.licence.upstream_licence in ("none found", "unknown"):
            assert f"**{manifest.licence.upstream_licence}" in row


def test_the_example_manifest_is_right() -> None:
    page = (DOCS / "networks.md").read_text(encoding="utf-8")
    example = page.split("```toml")[1].split("```")[0].replace('sha256 = "…"', f'sha256 = "{"0" * 64}"')
    manifest = read_manifest(Table(tomllib.loads(example), "example"))
    assert manifest.descriptor.dimension == manifest.outputs[0].shape[0]
