"""`manage.py permissions_page`: the page `docs/permissions.md`, made from the table and the views."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.api.routes import Route, api_routes
from apps.accounts.auth.permissions import CREATION, DELETION, MATCHING, MODIFICATION, OBJECT_RIGHTS, RESOURCES, VIEW
from apps.common.api.views import BY_BODY

RIGHTS = (CREATION, VIEW, MODIFICATION, DELETION, MATCHING)
HEAD = """\
# Permissions of tokens

Made by `make docs`; a test compares the two.

A token holds an object `permissions`. Its keys are the kinds below, its values lists of the rights that the token
grants; what is missing is not granted, and an account without a token may do all of it. HEAD needs what GET needs.
"""
TAIL = """\

Rights that depend on the request come on top:
- a face that is made or changed together with a link to a list: `list`.`modification`;
- lists that are deleted together with their faces: `face`.`deletion`;
- matching: `matching` of each kind of object that is a reference or a candidate (`face`, `event`, `attribute`);
- stored images and samples that `/6/sdk`, `/6/iso` or `/6/liveness` are to look at: `view` of their kind, without it
  they are not there.

`emit_events` is an object: `allowed` (0 or 1), `white_list` and `black_list` of up to 100 handler ids. An empty list
restricts nothing; with a list the token cannot have the rights `creation` and `modification` of handlers. What event
generation stores needs no further right.
"""


class Command(BaseCommand):
    help = "Prints the page docs/permissions.md, or writes it to --file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        text = page()
        if options["file"]:
            options["file"].write_text(text)
        else:
            self.stdout.write(text, ending="")


def page() -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *rights_table(), "", resources(), "", "## Routes", "", *routes_table(), TAIL])


def rights_table() -> Iterator[str]:
    yield f"| kind | {' | '.join(RIGHTS)} |"
    yield f"|---|{'---|' * len(RIGHTS)}"
    for kind, rights in OBJECT_RIGHTS.items():
        yield f"| `{kind}` | {' | '.join('yes' if right in rights else '' for right in RIGHTS)} |"


def resources() -> str:
    names = ", ".join(f'"{name}"' for name in RESOURCES)
    return f"`resources` lists which of {names} a token may use; without any credentials they are open."


def routes_table() -> Iterator[str]:
    yield "| route | method | a token needs |"
    yield "|---|---|---|"
    for route in api_routes():
        yield f"| `{route.path}` | {route.method} | {needs(route)} |"


def needs(route: Route) -> str:
    if route.view.resource:
        return f'"{route.view.resource}" in `resources`, if one is sent'
    if route.public:
        return "nothing, open to everybody"
    if route.right is None:
        return "refused to tokens"
    if route.right == BY_BODY:
        return "what the body names"
    return "`{}`.`{}`".format(*route.right)
