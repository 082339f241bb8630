from django.apps import AppConfig

from apps.common.holdings import Holding, holdings
from apps.monitoring.health import checks


class MatchingConfig(AppConfig):
    name = "apps.matching"
    verbose_name = "Matching"

    def ready(self) -> None:
        from apps.matching import erasure
        from apps.matching.engine.cached import list_cache_check

        checks.register("list_cache", list_cache_check)
        holdings.register(
            self.label,
            Holding(
                account=erasure.segments_erase,
                person=erasure.PersonSegments,
                checks={"list segments": erasure.segments_check},
            ),
        )
