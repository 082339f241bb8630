"""`manage.py networks`: build, list, verify, measure, add, select and remove networks."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError
from tqdm import tqdm

from apps.accounts.audit import audit_write
from apps.accounts.models import AuditRecord
from apps.common.config import Directories, config
from apps.recognition.config import Runtime
from apps.recognition.networks import report
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry, State
from apps.recognition.networks.samples import sample_photographs
from apps.recognition.networks.specs import Manifest

ARGUMENTS = ("names", "target", "folder", "use", "dry_run", "task", "name", "device", "seconds")
MAX_NAME = AuditRecord._meta.get_field("object_id").max_length


class Command(BaseCommand):
    """Subcommands print to standard output and exit with 1 if a network is missing or invalid."""

    help = "Builds, lists, verifies, measures, adds, selects and removes networks."
    requires_system_checks = ()  # no database, no URLs

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the subcommands and their arguments."""
        actions = parser.add_subparsers(dest="action", required=True)
        build = actions.add_parser("build", help="build the networks from their packages")
        actions.add_parser("list", help="list the known networks; * marks the network that serves its task")
        verify = actions.add_parser("verify", help="compare the networks with their reference outputs")
        bench = actions.add_parser("bench", help="measure the installed networks: ms and images/s per batch size")
        bench.add_argument("--device", help="cpu, cuda or cuda:N; default: LUNA_DEVICE")
        bench.add_argument("--seconds", type=float, default=1.0, help="duration of each measurement; default: 1")
        for action in (build, verify, bench):
            action.add_argument("names", nargs="*", metavar="NAME", help="only these networks")
        add = actions.add_parser("add", help="add a pack, a network, or your own network by its manifest")
        add.add_argument("target", metavar="PACK|NETWORK|MANIFEST.toml")
        add.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="take the files from a folder")
        add.add_argument("--use", action="store_true", help="select the added networks for their tasks")
        add.add_argument("--dry-run", action="store_true", help="show what would be added: licences and figures")
        use = actions.add_parser("use", help="select the network that serves a task")
        use.add_argument("task", metavar="TASK")
        use.add_argument("name", metavar="NETWORK")
        remove = actions.add_parser("remove", help="remove a network that serves no task")
        remove.add_argument("name", metavar="NETWORK")

    def handle(self, *, action: str, **options: Any) -> None:
        """Run one subcommand; a NetworkError is printed and exits with 1."""
        try:
            registry = Registry(config(Directories).networks)
            arguments = {key: options[key] for key in ARGUMENTS if key in options}
            getattr(self, f"_{action}")(registry, **arguments)
        except NetworkError as error:
            raise CommandError(str(error)) from error

    def _build(self, registry: Registry, names: list[str]) -> None:
        from apps.recognition.networks.builder import build_network  # imports onnx, which only builds need
        from apps.recognition.networks.embedded import build_embedded

        if names:
            built = tuple(
                manifest.name
                for manifest in _with_progress([registry.manifest(name) for name in names])
                if build_network(manifest, directory=registry.directory, cache=config(Directories).cache)
            )
        else:
            done = build_embedded(registry, cache=config(Directories).cache, progress=_with_progress)
            built = done.names
            for note in done.notes:
                self.stderr.write(note)
            self._photographs()
        if built:
            self.stdout.write(f"built {len(built)} networks in {registry.directory}")
        else:
            self.stdout.write(f"all networks are installed in {registry.directory}, nothing to build")

    def _photographs(self) -> None:
        """Fetch the sample photographs of the demo and the quick start. The platform works without them."""
        try:
            sample_photographs(config(Directories).cache)
        except NetworkError as error:
            self.stderr.write(f"The sample photographs are not available: {error}")

    def _list(self, registry: Registry) -> None:
        self.stdout.write(report.table(report.LIST_HEADER, report.network_rows(registry)))

    def _verify(self, registry: Registry, names: list[str]) -> None:
        from apps.recognition.networks.reference import verify

        chosen = names or [name for name in registry.manifests if registry.state(name) is not State.MISSING]
        if not chosen:
            raise NetworkError(
                f"no network is installed in {registry.directory}; run `.venv/bin/python manage.py networks build`"
            )
        results = [result for name in chosen for result in verify(registry.get(name))]
        self.stdout.write(report.table(report.VERIFY_HEADER, report.verification_rows(results)))
        if not all(result.ok for result in results):
            raise NetworkError("some outputs differ from their reference by more than the tolerance")

    def _bench(self, registry: Registry, names: list[str], device: str | None, seconds: float) -> None:
        from apps.recognition.engine.bench import HEADER, measure
        from apps.recognition.engine.errors import EngineError
        from apps.recognition.engine.sessions import Device

        chosen = names or [name for name in registry.manifests if registry.state(name) is State.INSTALLED]
        try:
            place = Device(device or config(Runtime).global_device_class)
            with tqdm(chosen, unit="network", desc="networks", leave=False, disable=None) as bar:
                speeds = [speed for name in bar for speed in measure(registry.get(name), place, seconds=seconds)]
        except EngineError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(report.table(HEADER, [speed.row for speed in speeds]))

    def _add(self, registry: Registry, target: str, folder: Path | None, use: bool, dry_run: bool) -> None:
        from apps.recognition.networks import packs

        members = packs.pack_members(registry, target)
        self.stdout.write(report.table(report.OFFER_HEADER, report.offer_rows(members)))
        for manifest in members:
            if manifest.licence.caveat:
                self.stdout.write(f"{manifest.name}: {manifest.licence.caveat}")
        if dry_run:
            return
        added = packs.pack_add(registry, members, cache=config(Directories).cache, folder=folder)
        if target.endswith(".toml"):
            packs.manifest_keep(registry, Path(target))
        self._audit("add", *(manifest.name for manifest in members))
        self.stdout.write(report.table(report.ADD_HEADER, report.added_rows(added, registry)))
        companions = {name for manifest in members for name in manifest.companions}
        for manifest in members:
            if manifest.name in companions or manifest.name == registry.selected(manifest.task):
                continue
            if use or packs.serves_at_once(registry, manifest, target):
                self._use(Registry(registry.directory), manifest.task, manifest.name)
            else:
                way = f".venv/bin/python manage.py networks use {manifest.task} {manifest.name}"
                self.stdout.write(f"{manifest.name} does not serve its task yet; to select it run `{way}`")

    def _use(self, registry: Registry, task: str, name: str) -> None:
        from apps.recognition.networks.packs import network_use

        before = registry.selected(task)
        network_use(registry, task, name)
        self._audit("use", name)
        self.stdout.write(f"{name} serves {task} after the next start; it replaces {before or 'no network'}")
        descriptor = registry.manifest(name).descriptor
        if descriptor is not None:
            self.stdout.write(
                f"New descriptors will have version {descriptor.version}. Descriptors of other versions are kept, and "
                "are only compared with descriptors of their own version."
            )

    def _remove(self, registry: Registry, name: str) -> None:
        from apps.recognition.networks.packs import network_remove

        network_remove(registry, name)
        self._audit("remove", name)
        self.stdout.write(f"removed {name}")

    def _audit(self, action: str, *names: str) -> None:
        """Write an audit line for each network; without a database (a first installation), print a warning."""
        try:
            audit_write(action=action, object_type="network", object_ids=[name[:MAX_NAME] for name in names])
        except (OperationalError, ProgrammingError) as error:
            self.stderr.write(f"no audit line was written: {str(error).splitlines()[0]}")


def _with_progress(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Yield the networks with a progress bar; an empty list shows no bar."""
    # `disable=None`: only a terminal shows the bar.
    with tqdm(manifests, unit="network", desc="networks", disable=None if manifests else True) as bar:
        for manifest in bar:
            bar.set_postfix_str(manifest.name)
            yield manifest
