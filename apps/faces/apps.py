from django.apps import AppConfig


class FacesConfig(AppConfig):
    name = "apps.faces"
    verbose_name = "Faces"

    def ready(self) -> None:
        from apps.faces import erasure

        erasure.connect()
