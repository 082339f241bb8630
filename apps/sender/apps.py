from django.apps import AppConfig


class SenderConfig(AppConfig):
    name = "apps.sender"
    verbose_name = "Sender"
