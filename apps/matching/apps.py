from django.apps import AppConfig
from django.core.checks import register

from apps.common.config import config
from apps.common.holdings import Holding, holdings
from apps.common.parts import MATCHER_PROXY, part_is_on
from apps.matching.config import MatcherProxy
from apps.monitoring.health import checks
from apps.monitoring.service_versions import register_matcher


class MatchingConfig(AppConfig):
    name = "apps.matching"
    verbose_name = "Matching"

    def ready(self) -> None:
        from apps.matching import erasure
        from apps.matching.engine.cached import list_cache_check
        from apps.matching.milvus.erasure import PersonVectors, copies_erase
        from apps.matching.plugins.loading import plugins_check

        checks.register("list_cache", list_cache_check, reason="lists are not in memory yet")
        register(plugins_check)
        register_matcher(matcher_name)
        holdings.register(
            self.label,
            Holding(
                account=erasure.segments_erase,
                person=erasure.PersonSegments,
                checks={"list segments": erasure.segments_check},
            ),
        )
        holdings.register("milvus", Holding(account=copies_erase, person=PersonVectors))


def matcher_name() -> str:
    """Return the name of the matcher for clients: the proxy's if active plugins get requests."""
    proxy = part_is_on(MATCHER_PROXY) and config(MatcherProxy).active_plugins
    return "luna-matcher-proxy" if proxy else "luna-python-matcher"
