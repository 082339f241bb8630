"""Discovery of plugins: files in a plugin directory, entry points of installed packages, and built-in ones."""

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from django.core.checks import CheckMessage, Error

from apps.common.config import Directories, config

logger = logging.getLogger(__name__)

P = TypeVar("P")


class PluginError(Exception):
    """A plugin cannot be loaded. The message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class PluginKind(Generic[P]):
    """The plugins of one list of active plugins.

    `name`: their folder in `plugins` of the var directory. `entry_points`: their group. `base`: the class that they
    extend. `variable`: the environment variable of their list. `built_in`: those of the platform, by name.
    """

    name: str
    entry_points: str
    base: type[P]
    variable: str
    check_id: str
    built_in: Mapping[str, Callable[[], P]] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The directory of plugin files."""
        return config(Directories).var / "plugins" / self.name

    def load(self, names: Iterable[str]) -> Iterator[tuple[str, P]]:
        """Yield each plugin that can be loaded, with its name; log the others."""
        for name in names:
            try:
                yield name, self.make(name)
            except Exception:  # a fault of a plugin must not stop the platform
                logger.exception("Plugin %s of %s cannot be loaded; it is not used", name, self.variable)

    def make(self, name: str) -> P:
        """Return a new plugin: of the file `name`.py, of the entry point `name`, or a built-in one.

        Raises PluginError if there is none, and the errors of its module and its class.
        """
        path = self.directory / f"{name}.py"
        if path.is_file():
            return self.plugin_of(self.module_of(path))
        for entry in entry_points(group=self.entry_points, name=name):
            return self.plugin_of(entry.load())
        if name in self.built_in:
            return self.built_in[name]()
        raise PluginError(f"There is neither {path} nor an entry point `{name}` of `{self.entry_points}`.")

    def module_of(self, path: Path) -> ModuleType:
        """Return the module of a file. Propagates the errors of its code."""
        name = f"luna_{self.name}_plugins.{path.stem}"
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

    def plugin_of(self, source: Any) -> P:
        """Return a plugin of a class, or of the only plugin class that a module defines."""
        if isinstance(source, ModuleType):
            classes = [
                each for each in vars(source).values() if self._is_plugin(each) and each.__module__ == source.__name__
            ]
            if len(classes) != 1:
                raise PluginError(
                    f"{source.__name__} must define one subclass of {self.base.__name__}, not {len(classes)}."
                )
            source = classes[0]
        if not self._is_plugin(source):
            raise PluginError(f"{source!r} is not a subclass of {self.base.__name__}.")
        plugin: P = source()
        return plugin

    def check(self, names: Iterable[str]) -> list[CheckMessage]:
        """Report active plugins that do not exist."""
        return [
            Error(
                f"{self.variable} names {name}, but there is neither a file {self.directory / f'{name}.py'} nor an "
                f"entry point `{name}` of `{self.entry_points}`.",
                id=self.check_id,
            )
            for name in names
            if name not in self.built_in
            and not (self.directory / f"{name}.py").is_file()
            and not entry_points(group=self.entry_points, name=name)
        ]

    def _is_plugin(self, each: Any) -> bool:
        return isinstance(each, type) and issubclass(each, self.base) and each is not self.base
