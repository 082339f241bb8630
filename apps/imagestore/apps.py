from django.apps import AppConfig


class ImagestoreConfig(AppConfig):
    name = "apps.imagestore"
    verbose_name = "Image Store"
