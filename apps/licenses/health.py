"""Health of the licence."""

from apps.licenses.selectors import license_require


def license_check() -> None:
    """Check that the platform may be used. Raises LunaError LICENSE_PROBLEM."""
    license_require()
