from django.apps import AppConfig

from apps.common.holdings import Holding, holdings
from apps.common.rotation import SealedColumn, register_sealed


class SenderConfig(AppConfig):
    name = "apps.sender"
    verbose_name = "Sender"

    def ready(self) -> None:
        from apps.events.saving import register_recovered
        from apps.monitoring.metrics.sources import sources
        from apps.sender.consistency import callbacks_check
        from apps.sender.erasure import PersonCallbacks
        from apps.sender.metrics import SOURCE
        from apps.sender.resuming import recovered_publish
        from apps.sender.targets import sealed_places

        holdings.register(self.label, Holding(person=PersonCallbacks, checks={"callbacks": callbacks_check}))
        register_sealed(SealedColumn("sender.Callback", "target", sealed_places))
        register_recovered(recovered_publish)
        sources.register(SOURCE)
