"""Base of commands that generate a page of `docs/`."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class PageCommand(BaseCommand):
    """Prints a page in Markdown, or writes it to `--file`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        text = self.page()
        if options["file"]:
            options["file"].write_text(text)
        else:
            self.stdout.write(text, ending="")

    @abstractmethod
    def page(self) -> str:
        """Return the page."""
