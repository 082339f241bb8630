from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.events.consistency import descriptors_check
        from apps.events.erasure import PersonEvents
        from apps.events.thin import THIN_EVENTS

        checks = {"descriptors": descriptors_check, "thin table of events": THIN_EVENTS.faults}
        holdings.register(self.label, Holding(person=PersonEvents, checks=checks))
