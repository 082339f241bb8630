from contextlib import suppress

from django.apps import AppConfig
from django.core.checks import register


class CommonConfig(AppConfig):
    name = "apps.common"
    verbose_name = "Common"

    def ready(self) -> None:
        """Register the environment check, set the decoding budget and create the directory of temporary files.

        `apps.common.pictures` reads no settings, so its budget is set from here.
        """
        from apps.common.config import Decoding, Directories, config
        from apps.common.config.checks import environment_check
        from apps.common.pictures import budget
        from apps.common.plugins.services import plugins_check

        register(environment_check)
        register(plugins_check)
        budget.total, budget.wait_s = config(Decoding).pixels, config(Decoding).wait_s
        with suppress(OSError):  # commands that write nothing also run on a read-only file system
            config(Directories).tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
