"""Discovery of matching plugins."""

from collections.abc import Callable, Mapping

from django.core.checks import CheckMessage

from apps.common.config import config
from apps.common.plugins.loading import PluginKind
from apps.matching.config import MatcherProxy
from apps.matching.plugins.contract import MatchingPlugin
from apps.matching.plugins.milvus import MilvusPlugin
from apps.matching.plugins.thin import ThinEvents, ThinFaces

BUILT_IN: Mapping[str, Callable[[], MatchingPlugin]] = {
    "thin_event": ThinEvents,
    "thin_face": ThinFaces,
    "milvus": MilvusPlugin,
}
"""Built-in plugins that are used if they are active."""
MATCHING_PLUGINS = PluginKind(
    name="matching",
    entry_points="luna.matching_plugins",
    base=MatchingPlugin,  # type: ignore[type-abstract]
    variable="LUNA_PYTHON_MATCHER_PROXY_ACTIVE_PLUGINS",
    check_id="luna.E010",
    built_in=BUILT_IN,
)


def plugins_check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Report active plugins that do not exist."""
    return MATCHING_PLUGINS.check(config(MatcherProxy).active_plugins)
