"""Bodies, queries and responses of the Configurator."""

from typing import Annotated, Any, ClassVar, TypedDict

from rest_framework import serializers

from apps.common.fields import CommaListField, FlagField, TextField
from apps.common.json_types import OneOf
from apps.common.validation import StrictSerializer
from apps.configurator.choices import NAME, NAME_LENGTH, TAG, TEXT_LENGTH

LINK, UNLINK = "link", "unlink"
MAX_NAMES = 1000


def name_field(**options: Any) -> serializers.RegexField:
    return serializers.RegexField(NAME, max_length=NAME_LENGTH, **options)


def names_field(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=NAME_LENGTH), max_length=MAX_NAMES, **{"required": False} | options
    )


def words_field(text: str) -> CommaListField:
    return CommaListField(
        child=serializers.CharField(max_length=NAME_LENGTH), required=False, help_text=f"{text}, separated by commas."
    )


class ValueField(serializers.JSONField):
    """Any JSON, null included."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_null": True} | options)


class SettingBody(StrictSerializer):
    """A setting. Of the platform's own settings, the value may leave out what has its default."""

    example = {
        "name": "LUNA_PAGING",
        "value": {"default_page_size": 20, "max_page_size": 500},
        "description": "Pages of the desk",
        "tags": ["desk"],
    }
    name = name_field(help_text="Name of the limitation.")
    value = ValueField(help_text="Value, valid for the schema of the limitation.")
    description = TextField(max_length=NAME_LENGTH, help_text="Description.")
    tags = serializers.ListField(
        child=serializers.RegexField(TAG, max_length=NAME_LENGTH),
        required=False,
        max_length=MAX_NAMES,
        help_text="Tags. A default setting has none, every other setting at least one.",
    )

    def validate_tags(self, tags: list[str]) -> list[str]:
        if len(set(tags)) < len(tags):
            raise serializers.ValidationError("The tags must differ.")
        return tags


class CheckQuery(serializers.Serializer[Any]):
    """Query of writes of settings."""

    check = FlagField(
        default=0, help_text="Whether to connect to the addresses in the value first; a failure changes nothing."
    )


class CheckBody(StrictSerializer):
    """A value to check."""

    example = {"name": "LUNA_PAGING", "value": {"default_page_size": 20}}
    name = name_field(help_text="Name of the limitation.")
    value = ValueField(help_text="Value to check.")


class PullBody(StrictSerializer):
    """Tags of one instance of a service."""

    example: ClassVar[dict[str, Any]] = {"tags": {}}
    tags = serializers.DictField(
        child=serializers.CharField(max_length=NAME_LENGTH),
        required=False,
        help_text="The tag by the name of a setting. Other settings have their default values.",
    )


class SettingsQuery(serializers.Serializer[Any]):
    """Filters of settings, which must all hold."""

    name = words_field("Names of settings")
    description = serializers.CharField(
        required=False, max_length=NAME_LENGTH, help_text="Part of the description, in any case."
    )
    tags = words_field("Tags of which a setting has at least one")
    services = words_field("Services that use the setting")
    groups = words_field("Groups of the limitation")
    default = FlagField(required=False, help_text="1: default settings only; 0: settings with tags only.")


class LimitationBody(StrictSerializer):
    """A limitation of other software."""

    example = {
        "validation_schema": {"type": "object", "properties": {"routing_key": {"type": "string"}}},
        "services": ["detector-queue"],
        "default_value": {"routing_key": "detector"},
        "description": "Queue of the detector",
    }
    validation_schema = ValueField(help_text="JSON Schema of the values, draft 2020-12.")
    services = names_field(help_text="Services that use the setting.")
    default_value = ValueField(help_text="Value of the default setting.")
    description = TextField(max_length=NAME_LENGTH, help_text="Description.")
    groups = names_field(help_text="Groups that the limitation is linked to.")


class LimitationPatch(StrictSerializer):
    """Changes of a limitation. Members that are left out keep their values."""

    example = {"description": "Queue of the detector"}
    limitation_name = name_field(required=False, help_text="New name.")
    validation_schema = ValueField(required=False, help_text="JSON Schema of the values, draft 2020-12.")
    services = names_field(help_text="Services that use the setting.")
    default_value = ValueField(required=False, help_text="Value of the default setting of a copy.")
    description = TextField(max_length=NAME_LENGTH, help_text="Description.")
    groups = names_field(help_text="Groups that the limitation is linked to.")


class LimitationsQuery(serializers.Serializer[Any]):
    """Filters of limitations, which must all hold."""

    name = words_field("Names of limitations")
    description = serializers.CharField(
        required=False, max_length=NAME_LENGTH, help_text="Part of the description, in any case."
    )
    services = words_field("Services that use the limitation")
    groups = words_field("Groups of the limitation")


class GroupBody(StrictSerializer):
    """A new group of limitations."""

    example = {"group_name": "desk", "description": "Settings of the desk", "limitations": ["LUNA_PAGING"]}
    group_name = name_field(help_text="Name.")
    description = TextField(max_length=TEXT_LENGTH, help_text="Description.")
    limitations = names_field(help_text="Names of the limitations.")


class GroupPatch(StrictSerializer):
    """Changes of a group. Members that are left out keep their values."""

    example = {"description": "Settings of the desk"}
    description = TextField(max_length=TEXT_LENGTH, help_text="Description.")
    limitations = names_field(help_text="Names of the limitations.")


class LinkBody(StrictSerializer):
    """Limitations that are linked to groups, or unlinked from them."""

    example = {"action": LINK, "groups": ["desk"], "limitations": ["LUNA_PAGING"]}
    action = serializers.ChoiceField(choices=(LINK, UNLINK), help_text="`link` or `unlink`.")
    groups = names_field(required=True, min_length=1, help_text="Names of the groups.")
    limitations = names_field(required=True, min_length=1, help_text="Names of the limitations.")


class GroupsQuery(serializers.Serializer[Any]):
    """Filters of groups, which must all hold."""

    name = words_field("Names of groups")
    limitations = words_field("Limitations of which a group has at least one")


class SettingIdJson(TypedDict):
    """The id of a new setting."""

    id: Annotated[int, "Id of the setting."]
    url: str
    external_url: str


class ConnectionCheckJson(TypedDict):
    """The result of a check."""

    result: Annotated[str, OneOf(("success",))]
    connections: Annotated[int, "Number of addresses in the value that answer."]
