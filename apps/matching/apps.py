from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class MatchingConfig(AppConfig):
    name = "apps.matching"
    verbose_name = "Matching"

    def ready(self) -> None:
        from apps.matching import erasure

        holdings.register(
            self.label,
            Holding(
                account=erasure.segments_erase,
                person=erasure.PersonSegments,
                checks={"list segments": erasure.segments_check},
            ),
        )
