from django.apps import AppConfig


class HandlersConfig(AppConfig):
    name = "apps.handlers"
    verbose_name = "Handlers"
