from contextlib import suppress

from django.apps import AppConfig
from django.core.checks import register


class CommonConfig(AppConfig):
    name = "apps.common"
    verbose_name = "Common"

    def ready(self) -> None:
        """Register the check of the environment; give the decoding of pictures, which knows no settings, its budget;
        make the directory of temporary files.
        """
        from apps.common.config import Decoding, Directories, config
        from apps.common.config.checks import environment_check
        from apps.common.pictures import budget

        register(environment_check)
        budget.total, budget.wait_s = config(Decoding).pixels, config(Decoding).wait_s
        with suppress(OSError):  # where nothing may be written, commands that write nothing still run
            config(Directories).tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
