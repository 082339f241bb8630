from django.apps import AppConfig


class ImagestoreConfig(AppConfig):
    name = "apps.imagestore"
    verbose_name = "Image Store"

    def ready(self) -> None:
        from apps.accounts.erasure import account_erasing
        from apps.imagestore.services import account_erase

        account_erasing.connect(account_erase, dispatch_uid="imagestore")
