"""Pages of Admin: the data of an account, the system information."""

from apps.administration.admin import accounts, info

__all__ = ["accounts", "info"]
