"""`callbacks` of storage_policy: webhooks and websockets that receive an event."""

from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from apps.common.fields import FlagField
from apps.common.filters import Filters
from apps.common.secrets import MASK, Secret
from apps.common.validation import StrictSerializer
from apps.handlers.policies.base import FiltersSerializer, PolicySerializer
from apps.handlers.secrets import SEALED
from apps.sender.signatures import HEADERS, key_of
from apps.sender.targets import Target, Webhook
from apps.sender.targets.http import JSON, MESSAGEPACK

HTTP, WEBSOCKETS = "http", "luna-ws-notification"
MAX_URL_CHARACTERS = 2048
MAX_TIMEOUT_S = 60
MAX_HEADERS = 30
# Headers that the HTTP client sets; a callback cannot override them.
OWN_HEADERS = HEADERS | {"authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackPolicy:
    """One callback. `target` None notifies the websockets, as notification_policy does."""

    target: Target | None
    enable: bool = True
    filters: Filters = field(default_factory=dict)


class SecretField(serializers.RegexField):
    """Text that parsing seals; in stored policies it is already sealed."""

    def __init__(self, regex: str = r"[^\x00]*", **kwargs: Any) -> None:
        super().__init__(rf"\A(?:{regex})\Z", trim_whitespace=False, **kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        if self.context.get("stored") and isinstance(data, dict) and isinstance(data.get(SEALED), str):
            return Secret(data[SEALED])
        return Secret.seal(super().run_validation(data))


class HeadersField(serializers.DictField):
    """HTTP headers by name."""

    child = SecretField(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?", max_length=1024, allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, Secret]:
        headers = super().to_internal_value(data)
        if len(headers) > MAX_HEADERS:
            raise serializers.ValidationError(f"At most {MAX_HEADERS} headers are allowed, got {len(headers)}.")
        for name in headers:
            if not name.replace("-", "a").isalnum() or not name.isascii() or name.lower() in OWN_HEADERS:
                raise serializers.ValidationError({name: "The name is invalid, or reserved for the HTTP client."})
        return headers


class SigningSecretField(SecretField):
    """Secret that signs the bodies."""

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if text != MASK:  # it keeps the stored secret
            try:
                key_of(text)
            except ValueError as error:
                raise serializers.ValidationError(str(error)) from error
        return text


class AuthorizationSerializer(StrictSerializer):
    type = serializers.ChoiceField(choices=("basic",))
    login = SecretField(r"[^:\x00]*", max_length=128)
    password = SecretField(max_length=128, allow_blank=True)


class ParamsSerializer(StrictSerializer):
    timeout = serializers.IntegerField(min_value=1, max_value=MAX_TIMEOUT_S, default=MAX_TIMEOUT_S)
    content_type = serializers.ChoiceField(choices=(JSON, MESSAGEPACK), default=JSON)
    headers = HeadersField(default=dict)
    secret = SigningSecretField(max_length=512, required=False)


class CallbackSerializer(PolicySerializer):
    type = serializers.ChoiceField(choices=(HTTP, WEBSOCKETS))
    # Credentials before the host are rejected, because responses and logs show the address.
    url = serializers.RegexField(r"\Ahttps?://[^\s/?#@]+(?:[/?#].*)?\Z", max_length=MAX_URL_CHARACTERS, required=False)
    authorization = AuthorizationSerializer(required=False)
    params = ParamsSerializer(required=False)
    enable = FlagField(default=True)
    filters = FiltersSerializer(default=dict)

    @staticmethod
    def policy(**values: Any) -> CallbackPolicy:  # type: ignore[override]
        target = None
        if values["type"] == HTTP:
            if "url" not in values:
                raise serializers.ValidationError({"url": "This field is required."})
            params = values.get("params") or ParamsSerializer().run_validation({})
            authorization = values.get("authorization", {})
            target = Webhook(
                url=values["url"],
                content_type=params["content_type"],
                headers=params["headers"],
                login=authorization.get("login"),
                password=authorization.get("password"),
                secret=params.get("secret"),
                timeout_s=params["timeout"],
            )
        return CallbackPolicy(target=target, enable=values["enable"], filters=values["filters"])


class CallbacksField(serializers.ListField):
    child = CallbackSerializer()

    def to_internal_value(self, data: Any) -> tuple[CallbackPolicy, ...]:  # type: ignore[override]
        return tuple(super().to_internal_value(data))
