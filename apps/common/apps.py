from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "apps.common"
    verbose_name = "Common"

    def ready(self) -> None:
        """Give the decoding of pictures, which knows no settings, the budget of this installation."""
        from django.conf import settings

        from apps.common.pictures import budget

        budget.total, budget.wait_s = settings.LUNA_DECODING_PIXELS, settings.LUNA_DECODING_WAIT_S
