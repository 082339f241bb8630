"""Registry of the types of tasks: the modules of this package with a `TYPE`, and user types."""

import importlib
import logging
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from django.core.checks import CheckMessage

from apps.common.config import config
from apps.common.plugins.loading import PluginKind
from apps.tasks import types as package
from apps.tasks.config import UserTaskTypes
from apps.tasks.types.base import TaskType

logger = logging.getLogger(__name__)

FIRST_USER_NUMBER = 1000
TASK_TYPES = PluginKind(
    name="tasks",
    entry_points="luna.task_types",
    base=TaskType,  # type: ignore[type-abstract]
    variable="LUNA_TASK_TYPES",
    check_id="luna.E012",
)


@lru_cache(maxsize=1)
def task_types() -> Mapping[int, TaskType]:
    """Return all types by number. User types that are invalid are logged and left out."""
    found = {each.number: each for each in _built_in()}
    for name, each in TASK_TYPES.load(config(UserTaskTypes).task_types):
        names = {known.name for known in found.values()}
        if each.number < FIRST_USER_NUMBER or each.number in found or each.name in names:
            logger.error(
                "Type %s of tasks is not used: its number must be %d or more, and number and name must be unique",
                name,
                FIRST_USER_NUMBER,
            )
        else:
            found[each.number] = each
    return MappingProxyType(found)


def task_type_named(name: str) -> TaskType | None:
    """Return the type of this name."""
    return next((each for each in task_types().values() if each.name == name), None)


def types_check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Report active user types that do not exist."""
    return TASK_TYPES.check(config(UserTaskTypes).task_types)


def _built_in() -> list[TaskType]:
    modules = (
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
    )
    return [module.TYPE for module in modules if isinstance(getattr(module, "TYPE", None), TaskType)]
