from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.events.consistency import descriptors_check
        from apps.events.erasure import PersonEvents

        holdings.register(self.label, Holding(person=PersonEvents, checks={"descriptors": descriptors_check}))
