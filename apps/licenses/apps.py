from django.apps import AppConfig


class LicensesConfig(AppConfig):
    name = "apps.licenses"
    verbose_name = "Licenses"

    def ready(self) -> None:
        from apps.common.api.views import register_gate
        from apps.licenses.health import license_check
        from apps.licenses.metrics import SOURCE
        from apps.licenses.requests import estimation_is_licensed, license_gate, license_is_valid
        from apps.monitoring.features import register_license
        from apps.monitoring.health import checks
        from apps.monitoring.metrics.sources import sources

        register_gate(license_gate)
        register_license(license_is_valid, estimation_is_licensed)
        checks.register("licenses", license_check, reason="no license is in force")
        sources.register(SOURCE)
