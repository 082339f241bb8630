"""JSON shapes of accounts, tokens and credentials."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts.auth.permissions import CREATION, MAX_LISTED_HANDLERS, MODIFICATION, OBJECT_RIGHTS, RESOURCES
from apps.accounts.choices import AccountType, VisibilityArea
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import CommaListField, FlagField, TimeZoneField, UUIDField
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer

MAX_PASSWORD_LENGTH = 128
OPEN_TYPES = (AccountType.USER.value, AccountType.ADVANCED_USER.value)
ACCOUNT_TARGETS = ("account_id", "login", "account_type", "description", "time_zone", "create_time", "last_update_time")


class PasswordField(serializers.CharField):
    """A password. Spaces are kept, and it never appears in a response. The service checks the policy."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=MAX_PASSWORD_LENGTH, **kwargs)


class AccountBody(StrictSerializer):
    example = {"login": "ada@example.com", "password": "a long and secret phrase", "description": "laboratory"}
    login = serializers.EmailField(max_length=128)
    password = PasswordField()
    account_type = serializers.ChoiceField(OPEN_TYPES, default=AccountType.USER.value)
    description = serializers.CharField(max_length=128, allow_blank=True, default="")


class AccountPatch(StrictSerializer):
    example = {"description": "laboratory, second floor"}
    login = serializers.EmailField(max_length=128, required=False)
    password = PasswordField(required=False)
    account_type = serializers.ChoiceField(OPEN_TYPES, required=False)
    description = serializers.CharField(max_length=128, allow_blank=True, required=False)
    time_zone = TimeZoneField(required=False)


class AccountSerializer(serializers.Serializer[Any]):
    """An account; `targets` selects its members."""

    account_id = UUIDField(required=False)
    login = serializers.CharField(required=False)
    account_type = serializers.ChoiceField(AccountType.choices, required=False)
    description = serializers.CharField(required=False)
    time_zone = serializers.CharField(required=False)
    create_time = serializers.DateTimeField(required=False)
    last_update_time = serializers.DateTimeField(required=False)

    def get_fields(self) -> Any:
        targets = self.context.get("targets", ACCOUNT_TARGETS)
        return {name: field for name, field in super().get_fields().items() if name in targets}


class AccountsSerializer(serializers.Serializer[Any]):
    accounts = AccountSerializer(many=True)


class TargetsField(CommaListField):
    """Names of members to return. Raises LunaError BAD_ACCOUNT_TARGET for an unknown name."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("child", serializers.CharField())
        super().__init__(default=list(ACCOUNT_TARGETS), help_text="Members of the response. Default: all.", **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        targets: list[str] = super().to_internal_value(data)
        for name in targets:
            if name not in ACCOUNT_TARGETS:
                raise LunaError(errors.BAD_ACCOUNT_TARGET, name, ", ".join(ACCOUNT_TARGETS))
        return targets


class AccountQuery(serializers.Serializer[Any]):
    targets = TargetsField()


class AccountsQuery(PageQuery):
    targets = TargetsField()


class EmitEventsBody(StrictSerializer):
    """The right to generate events, and its handlers; an empty list restricts nothing."""

    allowed = FlagField()
    white_list = serializers.ListField(child=UUIDField(), max_length=MAX_LISTED_HANDLERS, required=False)
    black_list = serializers.ListField(child=UUIDField(), max_length=MAX_LISTED_HANDLERS, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        lists = {name: [str(each) for each in attrs.get(name, ())] for name in ("white_list", "black_list")}
        return {"allowed": int(attrs["allowed"]), **lists}


def _rights_field(rights: tuple[str, ...]) -> serializers.ListField:
    return serializers.ListField(child=serializers.ChoiceField(rights), max_length=len(rights), required=False)


class PermissionsBody(StrictSerializer):
    """The rights of a token by kind; a missing kind grants nothing."""

    resources = _rights_field(RESOURCES)
    emit_events = EmitEventsBody(required=False)

    def get_fields(self) -> Any:
        return {**{kind: _rights_field(rights) for kind, rights in OBJECT_RIGHTS.items()}, **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        emit = attrs.get("emit_events", {})
        lists = bool(emit.get("white_list") or emit.get("black_list"))
        if (lists or emit.get("allowed")) and {CREATION, MODIFICATION} & set(attrs.get("handler", ())):
            # Such a token could generate events by any policies, and bypass the lists.
            raise serializers.ValidationError(
                {"emit_events": "it excludes the rights `creation` and `modification` of `handler`."}
            )
        return attrs


@extend_schema_field(PermissionsBody)
class PermissionsField(serializers.DictField):
    """The rights of a token, as a response shows them."""


class TokenBody(StrictSerializer):
    example = {
        "description": "cameras",
        "permissions": {"face": ["view", "matching"], "list": ["view"], "emit_events": {"allowed": 1}},
        "visibility_area": "account",
    }
    description = serializers.CharField(max_length=128, allow_blank=True, default="")
    expiration_time = serializers.DateTimeField(allow_null=True, default=None)
    permissions = PermissionsBody(required=False)
    visibility_area = serializers.ChoiceField(VisibilityArea.choices, default=VisibilityArea.ACCOUNT.value)


class TokenQuery(serializers.Serializer[Any]):
    grant_all_permissions = FlagField(default=False, help_text="1: all rights instead of `permissions`.")


class TokenSerializer(serializers.Serializer[Any]):
    """A stored token. Its JWT is returned at creation only."""

    token_id = UUIDField()
    account_id = UUIDField()
    description = serializers.CharField()
    expiration_time = serializers.DateTimeField(allow_null=True)
    permissions = PermissionsField()
    visibility_area = serializers.ChoiceField(VisibilityArea.choices)
    create_time = serializers.DateTimeField()
    last_update_time = serializers.DateTimeField()


class TokensSerializer(serializers.Serializer[Any]):
    tokens = TokenSerializer(many=True)


class CredentialsBody(StrictSerializer):
    """Credentials of one kind: login and password, a JWT, or an account id."""

    example = {"login": "ada@example.com", "password": "a long and secret phrase"}
    login = serializers.CharField(max_length=128, required=False)
    password = serializers.CharField(trim_whitespace=False, max_length=MAX_PASSWORD_LENGTH, required=False)
    token = serializers.CharField(max_length=4096, required=False)
    account_id = UUIDField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if set(attrs) not in ({"login", "password"}, {"token"}, {"account_id"}):
            raise LunaError(errors.NONE_OF_PARAMETERS, "login and password, token, account_id")
        return attrs


class CredentialsSerializer(serializers.Serializer[Any]):
    account_id = UUIDField()
    account_type = serializers.ChoiceField(AccountType.choices)
    permissions = PermissionsField(required=False)
    visibility_area = serializers.ChoiceField(VisibilityArea.choices, required=False)
