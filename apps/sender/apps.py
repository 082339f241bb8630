from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class SenderConfig(AppConfig):
    name = "apps.sender"
    verbose_name = "Sender"

    def ready(self) -> None:
        from apps.sender.consistency import callbacks_check
        from apps.sender.erasure import PersonCallbacks

        holdings.register(self.label, Holding(person=PersonCallbacks, checks={"callbacks": callbacks_check}))
