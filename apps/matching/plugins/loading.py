"""Discovery of plugins: files in the plugin directory, entry points of installed packages, and built-in ones."""

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from django.core.checks import CheckMessage, Error

from apps.common.config import Directories, config
from apps.matching.config import MatcherProxy
from apps.matching.plugins.contract import MatchingPlugin
from apps.matching.plugins.milvus import MilvusPlugin
from apps.matching.plugins.thin import ThinEvents, ThinFaces

logger = logging.getLogger(__name__)

ENTRY_POINTS = "luna.matching_plugins"
DIRECTORY = "plugins/matching"
PACKAGE = "luna_matching_plugins"  # the prefix of the names of modules from files
BUILT_IN: Mapping[str, Callable[[], MatchingPlugin]] = {
    "thin_event": ThinEvents,
    "thin_face": ThinFaces,
    "milvus": MilvusPlugin,
}
"""Built-in plugins that are used if they are active."""


class PluginError(Exception):
    """A plugin cannot be loaded. The message is one sentence."""


def plugins_directory() -> Path:
    """Return the directory of plugin files."""
    return config(Directories).var / DIRECTORY


def load(names: Iterable[str]) -> Iterator[tuple[str, MatchingPlugin]]:
    """Yield each plugin that can be loaded, with its name; log the others."""
    for name in names:
        try:
            yield name, plugin_make(name)
        except Exception:  # a fault of a plugin must not stop the platform
            logger.exception("Matching plugin %s cannot be loaded; it is not used", name)


def plugin_make(name: str) -> MatchingPlugin:
    """Return a new plugin: of the file `name`.py in the plugin directory, of the entry point `name`, or a built-in one.

    Raises PluginError if there is none, and the errors of its module and its class.
    """
    path = plugins_directory() / f"{name}.py"
    if path.is_file():
        return plugin_of(module_of(path))
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return plugin_of(entry.load())
    if name in BUILT_IN:
        return BUILT_IN[name]()
    raise PluginError(f"There is neither {path} nor an entry point `{name}` of `{ENTRY_POINTS}`.")


def module_of(path: Path) -> ModuleType:
    """Return the module of a file. Propagates the errors of its code."""
    name = f"{PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def plugin_of(source: Any) -> MatchingPlugin:
    """Return a plugin of a class, or of the only plugin class that a module defines."""
    if isinstance(source, ModuleType):
        classes = [each for each in vars(source).values() if _is_plugin(each) and each.__module__ == source.__name__]
        if len(classes) != 1:
            raise PluginError(f"{source.__name__} must define one subclass of MatchingPlugin, not {len(classes)}.")
        source = classes[0]
    if not _is_plugin(source):
        raise PluginError(f"{source!r} is not a subclass of MatchingPlugin.")
    plugin: MatchingPlugin = source()
    return plugin


def _is_plugin(each: Any) -> bool:
    return isinstance(each, type) and issubclass(each, MatchingPlugin) and each is not MatchingPlugin


def plugins_check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Report active plugins that do not exist."""
    return [
        Error(
            f"LUNA_PYTHON_MATCHER_PROXY_ACTIVE_PLUGINS names {name}, but there is neither a file "
            f"{plugins_directory() / name}.py nor an entry point `{name}` of `{ENTRY_POINTS}`.",
            id="luna.E010",
        )
        for name in config(MatcherProxy).active_plugins
        if name not in BUILT_IN
        and not (plugins_directory() / f"{name}.py").is_file()
        and not entry_points(group=ENTRY_POINTS, name=name)
    ]
