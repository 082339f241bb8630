"""Accepted hosts, and the default of open registration: both depend on the external address, which can change."""

from django.conf import settings

from apps.accounts.config import Registration
from apps.common.config import Changed, ExternalAddress, Web, config, installation_defaults
from apps.common.hosts import is_loopback, is_private, listed_hosts
from luna.config import Processes


def allowed_hosts() -> list[str]:
    """Return the hosts that requests may name. The supervisor checks the health at the address that it listens on."""
    own = (f"[{host}]" if ":" in host else host for host in config(Processes).hosts)
    return [*config(Web).allowed_hosts, *listed_hosts(), *own]


def on_loopback() -> bool:
    """Return whether the platform listens on loopback addresses only."""
    return all(map(is_loopback, config(Processes).hosts))


def registration_default() -> None:
    """Open the registration of accounts by default only if no other machine reaches the platform."""
    installation_defaults(Registration, open=on_loopback() and is_private())


def apply_changes(changed: Changed) -> None:
    """Follow a changed external address."""
    if ExternalAddress in changed:
        settings.ALLOWED_HOSTS = allowed_hosts()
        registration_default()
