from django.apps import AppConfig


class FacesConfig(AppConfig):
    name = "apps.faces"
    verbose_name = "Faces"

    def ready(self) -> None:
        from apps.faces import consistency, erasure
        from apps.imagestore.consistency import checks

        erasure.connect()
        checks.register("descriptors", consistency.descriptors_check)
        checks.register("lists", consistency.lists_check)
        checks.register("samples of faces", consistency.samples_check)
        checks.register("keys in Redis", consistency.redis_check)
