"""Bodies, queries and responses of `/4`."""

from typing import Any

from rest_framework import serializers

from apps.accounts.api.serializers import AccountBody, AccountSerializer, PasswordField
from apps.accounts.choices import AccountType
from apps.common.fields import UUIDField, account_field
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.faces.api.serializers import FaceSerializer


class AdminAccountPutBody(AccountBody):
    """A new account of any type."""

    example = {"login": "grace@example.com", "password": "a long and secret phrase", "account_type": "admin"}
    account_type = serializers.ChoiceField(AccountType.values)


class AdminAccountBody(AdminAccountPutBody):
    """A new account of any type. `account_id`: its id, if it must have a certain one."""

    example = AdminAccountPutBody.example
    account_id = UUIDField(required=False)


class AdminAuthorizationBody(StrictSerializer):
    """The new credentials of the client's account."""

    example = {"password": "a longer and more secret phrase"}
    login = serializers.EmailField(max_length=128, required=False)
    password = PasswordField(required=False)


class AdminAccountsSerializer(serializers.Serializer[Any]):
    """A page of accounts, and the number of all."""

    accounts = AccountSerializer(many=True)
    account_count = serializers.IntegerField()


class AdminListsQuery(PageQuery):
    """Lists of an account, or of all accounts."""

    account_id = account_field()


class AdminListSerializer(serializers.Serializer[Any]):
    """A list of any account. `face_count`: the number of its faces."""

    list_id = UUIDField()
    account_id = UUIDField()
    user_data = serializers.CharField(allow_blank=True)
    create_time = serializers.DateTimeField()
    last_update_time = serializers.DateTimeField()
    face_count = serializers.IntegerField()


class AdminListsSerializer(serializers.Serializer[Any]):
    """A page of lists, and the number of all."""

    lists = AdminListSerializer(many=True)
    list_count = serializers.IntegerField()


class AdminFacesSerializer(serializers.Serializer[Any]):
    """A page of faces, and the number of all that pass the filters."""

    faces = FaceSerializer(many=True)
    face_count = serializers.IntegerField()
