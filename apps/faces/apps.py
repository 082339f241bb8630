from django.apps import AppConfig


class FacesConfig(AppConfig):
    name = "apps.faces"
    verbose_name = "Faces"
