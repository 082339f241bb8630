from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        from apps.events.consistency import descriptors_check
        from apps.imagestore.consistency import checks

        checks.register("descriptors of events", descriptors_check)
