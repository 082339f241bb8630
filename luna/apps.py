from typing import Any

from django.apps import AppConfig, apps
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import reset_queries
from django.utils.translation import gettext_lazy, override
from rest_framework.utils.formatting import lazy_format


class LunaConfig(AppConfig):
    name = "luna"
    verbose_name = "Luna"

    def ready(self) -> None:
        """Register the Celery application, through which every process sends its tasks, and effects of settings."""
        import luna.celery  # noqa: F401
        from apps.common.config import after_refresh
        from luna.settings import hosts, logging

        after_refresh.extend((logging.apply_changes, hosts.apply_changes))

        translate_names()
        translate_messages()
        # Receivers without effect here: queries are only logged with `DEBUG`, and the caches keep their connections.
        request_started.disconnect(reset_queries)
        request_finished.disconnect(close_caches)


def translate_messages() -> None:
    """Let messages of validators have the language of each request.

    REST framework keeps the first text of a message for the life of the process: after a page in another language, the
    API would answer in it.
    """

    def formatted(message: Any) -> str:
        return str(message.format_string).format(*message.args, **message.kwargs)

    lazy_format.__str__ = formatted  # type: ignore[method-assign]  # it has no option for this


def translate_names() -> None:
    """Let pages show the names of our rooms, models and columns in their own language.

    Migrations see the names as the models declare them.
    """
    for room in apps.get_app_configs():
        if room.name.startswith("apps."):
            room.verbose_name = gettext_lazy(str(room.verbose_name))
    for model in apps.get_models():
        if not model.__module__.startswith("apps."):
            continue
        for named in (model._meta, *model._meta.fields):
            for attribute in ("verbose_name", "verbose_name_plural"):
                name = getattr(named, attribute, None)
                if name is not None:
                    with override(None):
                        setattr(named, attribute, gettext_lazy(str(name)))
