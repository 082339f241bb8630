"""`manage.py partition_descriptors PARTS`: divide the table of face descriptors into partitions."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.faces.partitioning import descriptors_partition


class Command(BaseCommand):
    help = "Divide the table of face descriptors into partitions. Stop the platform before; see docs/operations.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("parts", type=int, help="number of partitions, 2 to 1024: ten million faces each are usual")

    def handle(self, *args: Any, parts: int, **options: Any) -> None:
        try:
            descriptors_partition(parts=parts)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The descriptors of faces are in {parts} partitions.")
