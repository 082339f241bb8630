from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class ImagestoreConfig(AppConfig):
    name = "apps.imagestore"
    verbose_name = "Image Store"

    def ready(self) -> None:
        from apps.imagestore import consistency, erasure
        from apps.imagestore.health import image_store_check
        from apps.monitoring.health import checks

        checks.register("image_store", image_store_check, reason="files cannot be stored")
        holdings.register(
            self.label,
            Holding(
                account=erasure.objects_erase,
                account_count=erasure.bytes_count,
                person=erasure.PersonObjects,
                checks={"rows": consistency.rows_check, "files": consistency.files_check},
            ),
        )
