"""The documentation: links lead to existing files and headings, and README names the resources that work."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings in GitHub's form, and its explicit ids."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a id="([^"]+)">', text)
    )


def broken(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](#one-two) [b](#two) [c](other.md) [d](https://luna.example/x#y)")
    assert list(broken(page)) == ["#two", "other.md"]


def test_the_readme_names_the_resources_that_work() -> None:
    """A resource of the table works if the OpenAPI document has it or a path below it; websockets have no operation."""
    document = yaml.load((ROOT / "tests/conformance/openapi.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    served = {re.sub(r"\{\w+\}", "{id}", path) for path in document["paths"]} | {"/6/ws"}
    table = re.findall(r"^\| (.*`/[16]/.*) \| (works|not yet)\b", (ROOT / "README.md").read_text("utf-8"), re.M)
    stated = {path: state == "works" for cell, state in table for path in re.findall(r"`(/[16]/[^`]+)`", cell)}
    assert {path: any(f"{one}/".startswith(f"{path}/") for one in served) for path in stated} == stated
    assert {path for path in served if path.startswith("/6/") and not any(path.startswith(one) for one in stated)} == {
        "/6/features",
        "/6/healthcheck",
        "/6/version",
    }


def test_the_readme_leads_to_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert [page.name for page in PAGES if f"{page.relative_to(ROOT)}" not in links | {"README.md"}] == []
