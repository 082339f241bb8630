from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class PeopleConfig(AppConfig):
    name = "apps.people"
    verbose_name = "People"

    def ready(self) -> None:
        from apps.people.erasure import PersonGroups

        holdings.register(self.label, Holding(person=PersonGroups))
