from django.apps import AppConfig


class ImagestoreConfig(AppConfig):
    name = "apps.imagestore"
    verbose_name = "Image Store"

    def ready(self) -> None:
        from apps.imagestore import consistency, erasure
        from apps.imagestore.health import image_store_check
        from apps.monitoring.health import checks

        erasure.connect()
        checks.register("image_store", image_store_check)
        consistency.checks.register("rows", consistency.rows_check)
        consistency.checks.register("files", consistency.files_check)
