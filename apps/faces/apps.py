from django.apps import AppConfig


class FacesConfig(AppConfig):
    name = "apps.faces"
    verbose_name = "Faces"

    def ready(self) -> None:
        from apps.accounts.erasure import account_erasing
        from apps.faces.attributes import account_erase

        account_erasing.connect(account_erase, dispatch_uid="faces")
