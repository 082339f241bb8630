"""Contracts of import-linter that the built-in ones cannot express."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

# Modules of a room that may know requests, serializers and views.
KNOWS_API = frozenset({"api", "admin", "adminbase", "apps", "management", "migrations"})


class DomainKnowsNoApi(Contract):
    """No domain module of a room imports from the `api` package of any room.

    `exceptions` names modules outside `api` that are part of a room's API nevertheless.
    """

    exceptions = fields.SetField(subfield=fields.ModuleField(), required=False, default=())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        exempt = {module.name for module in self.exceptions}  # type: ignore[attr-defined]
        broken = sorted(
            (importer, imported)
            for importer in graph.modules
            if _is_domain(importer) and importer not in exempt
            for imported in graph.find_modules_directly_imported_by(importer)
            if _room_part(imported) == "api"
        )
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} imports {imported}", bold=False)


def _room_part(module: str) -> str:
    """The first name below a room: `api` of `apps.faces.api.views`."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and parts[0] == "apps" else ""


def _is_domain(module: str) -> bool:
    part = _room_part(module)
    return bool(part) and part not in KNOWS_API


class DoorReadsDjangoSettings(Contract):
    """Rooms read settings through `config(Group)`: only the door imports `django.conf`. Migrations are exempt."""

    door = fields.ModuleField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        door = self.door.name  # type: ignore[attr-defined]
        broken = sorted(
            (details["importer"], details["line_number"])
            for importer in graph.find_modules_that_directly_import("django")
            if importer.startswith("apps.") and _room_part(importer) != "migrations"
            if importer != door and not importer.startswith(f"{door}.")
            for details in graph.get_import_details(importer=importer, imported="django")
            if "django.conf" in details["line_contents"]
        )
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, line in check.metadata["broken"]:
            output.print_error(f"{importer}, line {line}: imports django.conf; use `config(Group)`", bold=False)
