from django.apps import AppConfig


class DescriptorsConfig(AppConfig):
    name = "apps.descriptors"
    verbose_name = "Descriptor versions"
