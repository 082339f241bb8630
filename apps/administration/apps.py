from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    name = "apps.administration"
    verbose_name = "Administration"
