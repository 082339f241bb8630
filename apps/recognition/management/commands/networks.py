"""`manage.py networks`: build the embedded networks, list what is known, verify what is installed."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.recognition.networks import report
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry, State


class Command(BaseCommand):
    """Subcommands print to standard output and end with 1 when a network is not as it must be."""

    help = "Builds, lists and verifies the networks."
    requires_system_checks = ()  # no database, no URLs

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The subcommands and their arguments."""
        actions = parser.add_subparsers(dest="action", required=True)
        build = actions.add_parser("build", help="build the networks from their packages")
        actions.add_parser("list", help="list the known networks; * serves its task")
        verify = actions.add_parser("verify", help="compare the networks with their reference outputs")
        for action in (build, verify):
            action.add_argument("names", nargs="*", metavar="NAME", help="only these networks")

    def handle(self, *, action: str, **options: Any) -> None:
        """Runs one subcommand; a NetworkError becomes its message and exit status 1."""
        try:
            registry = Registry(settings.NETWORKS_DIR)
            getattr(self, f"_{action}")(registry, **{key: options[key] for key in ("names",) if key in options})
        except NetworkError as error:
            raise CommandError(str(error)) from error

    def _build(self, registry: Registry, names: list[str]) -> None:
        from apps.recognition.networks.builder import build_network  # needs onnx, which serving does not

        chosen = names or [name for name, manifest in registry.manifests.items() if manifest.default]
        waiting = [name for name in chosen if registry.state(name) is not State.INSTALLED]
        if not waiting:
            self.stdout.write(f"{len(chosen)} networks are in {registry.directory}, nothing to build")
            return
        with tqdm(waiting, unit="network", desc="networks") as bar:
            for name in bar:
                bar.set_postfix_str(name)
                build_network(registry.manifest(name), directory=registry.directory, cache=settings.CACHE_DIR)
        self.stdout.write(f"built {len(waiting)} networks in {registry.directory}")

    def _list(self, registry: Registry) -> None:
        self.stdout.write(report.table(report.LIST_HEADER, report.network_rows(registry)))

    def _verify(self, registry: Registry, names: list[str]) -> None:
        from apps.recognition.networks.reference import verify

        chosen = names or [name for name in registry.manifests if registry.state(name) is not State.MISSING]
        if not chosen:
            raise NetworkError(
                f"no network is installed in {registry.directory}; run `python manage.py networks build`"
            )
        results = [result for name in chosen for result in verify(registry.get(name))]
        self.stdout.write(report.table(report.VERIFY_HEADER, report.verification_rows(results)))
        if not all(result.ok for result in results):
            raise NetworkError("some outputs differ from their reference by more than is allowed")
