"""Options of `manage.py serve` that choose stored settings."""

import pytest

from apps.common.config import override_config
from apps.configurator.config import Configurator
from luna.management.commands.serve import Command, stored_settings


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--config-reload"], {"LUNA_CONFIG_RELOAD": "1"}),
        (["--config-reload", "0", "--pulling-time", "3"], {"LUNA_CONFIG_RELOAD": "0", "LUNA_PULLING_TIME": "3.0"}),
        (["--LUNA_PAGING", "desk", "--S3", "b"], {"LUNA_CONFIG_TAGS": "LUNA_PAGING=desk,S3=b"}),
    ],
)
def test_options_are_variables_of_the_processes(words: list[str], expected: dict[str, str]) -> None:
    parser = Command().create_parser("manage.py", "serve")
    assert stored_settings(vars(parser.parse_args(words))) == expected


def test_options_precede_the_environment() -> None:
    parser = Command().create_parser("manage.py", "serve")
    with override_config(Configurator, tags=("LUNA_PAGING=hall", "S3=b")):
        found = stored_settings(vars(parser.parse_args(["--LUNA_PAGING", "desk"])))
    assert found == {"LUNA_CONFIG_TAGS": "LUNA_PAGING=desk,S3=b"}
