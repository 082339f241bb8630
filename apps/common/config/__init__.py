"""The settings of the platform, by group: `config(Group)` returns a frozen object.

A room declares its groups in `<room>/config.py`; `platform` declares the shared ones. Other modules of rooms never
read the environment or `django.conf.settings`.
"""

from apps.common.config.door import (
    check_all,
    config,
    discover,
    installation_defaults,
    override_config,
    refresh,
    use_stored,
)
from apps.common.config.errors import SettingsError
from apps.common.config.groups import GROUPS, Scope, Section, Settings, group, ordered, setting
from apps.common.config.installation import version, web_processes
from apps.common.config.platform import (
    AdditionalServices,
    Decoding,
    Directories,
    ErrorLinks,
    ExternalAddress,
    Http,
    Images,
    IpNetwork,
    Logger,
    OutgoingRequests,
    Pages,
    Paging,
    PlatformLimits,
    PluginNames,
    QueryParameters,
    ServicePlugins,
    Services,
    StorageTime,
    Web,
)

__all__ = [
    "GROUPS",
    "AdditionalServices",
    "Decoding",
    "Directories",
    "ErrorLinks",
    "ExternalAddress",
    "Http",
    "Images",
    "IpNetwork",
    "Logger",
    "OutgoingRequests",
    "Pages",
    "Paging",
    "PlatformLimits",
    "PluginNames",
    "QueryParameters",
    "Scope",
    "Section",
    "ServicePlugins",
    "Services",
    "Settings",
    "SettingsError",
    "StorageTime",
    "Web",
    "check_all",
    "config",
    "discover",
    "group",
    "installation_defaults",
    "ordered",
    "override_config",
    "refresh",
    "setting",
    "use_stored",
    "version",
    "web_processes",
]
