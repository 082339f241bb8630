"""Constants of the Configurator."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

NAME_LENGTH = 128  # of names, tags, and descriptions of settings and limitations
TEXT_LENGTH = 256  # of descriptions of groups
NAME = r"^(?!\.{1,2}$)[^\x00-\x1f/]+$"  # names are parts of paths
TAG = r"^[^\x00-\x1f=,]+$"  # `--SETTING TAG` and `LUNA_CONFIG_TAGS`
MAX_VALUE_BYTES = 256 * 1024  # of a value or a schema as JSON


class Kind(TextChoices):
    """What a change has changed."""

    SETTING = "setting", _("setting")
    LIMITATION = "limitation", _("limitation")
    GROUP = "group", _("group")


class Effect(TextChoices):
    """When a changed value takes effect."""

    LIVE = "live", _("live")
    ENGINE = "engine", _("live, with a new recognition engine")
    RESTART = "restart", _("at the next start")
    ENVIRONMENT = "environment", _("set by the environment only")
    OTHER = "other", _("decided by its software")
