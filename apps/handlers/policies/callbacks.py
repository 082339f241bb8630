"""`callbacks` of storage_policy: webhooks, MQTT brokers and websockets that receive an event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from apps.common.fields import FlagField, WholeNumberField
from apps.common.filters import Filters
from apps.common.secrets import MASK, SEALED, Secret
from apps.common.validation import StrictSerializer
from apps.handlers.policies.base import FiltersSerializer, PolicySerializer
from apps.sender.signatures import HEADERS, key_of
from apps.sender.targets import JSON, MESSAGEPACK, MqttTopic, Target, Webhook
from apps.sender.targets.mqtt import address_of, topic_problem

HTTP, MQTT, WEBSOCKETS = "http", "mqtt", "luna-ws-notification"
MAX_URL_CHARACTERS = 2048
MAX_TIMEOUT_S = 60
MAX_HEADERS = 30
MQTT_DEFAULTS = {"qos": 1, "retain": 0}
HTTP_PARAMS, MQTT_PARAMS = ("headers", "secret"), ("topic", "qos", "retain")
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


class TopicField(serializers.CharField):
    """Topic of an MQTT broker, with placeholders."""

    def to_internal_value(self, data: Any) -> str:
        topic: str = super().to_internal_value(data)
        if problem := topic_problem(topic):
            raise serializers.ValidationError(problem)
        return topic


class AuthorizationSerializer(StrictSerializer):
    type = serializers.ChoiceField(choices=("basic",))
    login = SecretField(r"[^:\x00]*", max_length=128)
    password = SecretField(max_length=128, allow_blank=True)


class HttpParamsSerializer(StrictSerializer):
    timeout = WholeNumberField(min_value=1, max_value=MAX_TIMEOUT_S, default=MAX_TIMEOUT_S)
    content_type = serializers.ChoiceField(choices=(JSON, MESSAGEPACK), default=JSON)
    headers = HeadersField(default=dict)
    secret = SigningSecretField(max_length=512, required=False)


class ParamsSerializer(HttpParamsSerializer):
    topic = TopicField(max_length=512, trim_whitespace=False, required=False)
    qos = WholeNumberField(min_value=0, max_value=2, required=False)
    retain = FlagField(required=False)


class UrlField(serializers.RegexField):
    """Address of a callback. Credentials before the host are rejected: responses and logs show the address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"\A(?:http|mqtt)s?://[^\s/?#@]+(?:[/?#].*)?\Z", max_length=MAX_URL_CHARACTERS, **kwargs)


class CallbackSerializer(PolicySerializer):
    type = serializers.ChoiceField(choices=(HTTP, MQTT, WEBSOCKETS))
    url = UrlField(required=False)
    authorization = AuthorizationSerializer(required=False)
    params = ParamsSerializer(required=False)
    enable = FlagField(default=True)
    filters = FiltersSerializer(default=dict)

    @staticmethod
    def policy(**values: Any) -> CallbackPolicy:  # type: ignore[override]
        return CallbackPolicy(target=_target(values), enable=values["enable"], filters=values["filters"])

    @staticmethod
    def filled(values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of a response with the parameters of the type."""
        if values["type"] == MQTT:
            params = {name: value for name, value in values["params"].items() if name not in HTTP_PARAMS}
            return {**values, "params": MQTT_DEFAULTS | params}
        return values


def _target(values: Mapping[str, Any]) -> Target | None:
    """Return the target of a callback, None for websockets. Raises ValidationError."""
    if values["type"] == WEBSOCKETS:
        return None
    if "url" not in values:
        raise serializers.ValidationError({"url": "This field is required."})
    url: str = values["url"]
    params = values.get("params") or ParamsSerializer().run_validation({})
    authorization = values.get("authorization", {})
    if values["type"] == HTTP:
        foreign_params_check(HTTP, params, MQTT_PARAMS)
        return webhook(url, authorization, params)
    foreign_params_check(MQTT, params, HTTP_PARAMS)
    try:
        address_of(url)
    except ValueError as error:
        raise serializers.ValidationError({"url": str(error)}) from error
    if "topic" not in params:
        raise serializers.ValidationError({"params": {"topic": "This field is required."}})
    common = _common(url, authorization, params)
    quality = {name: params.get(name, default) for name, default in MQTT_DEFAULTS.items()}
    return MqttTopic(topic=params["topic"], qos=quality["qos"], retain=bool(quality["retain"]), **common)


def webhook(url: str, authorization: Mapping[str, Any], params: Mapping[str, Any]) -> Webhook:
    """Return the target of validated members of an HTTP callback. Raises ValidationError."""
    if not url.startswith(HTTP):
        raise serializers.ValidationError({"url": "The URL must begin with `http://` or `https://`."})
    common = _common(url, authorization, params)
    return Webhook(headers=params.get("headers") or {}, secret=params.get("secret"), **common)


def foreign_params_check(kind: str, params: Mapping[str, Any], others: Iterable[str]) -> None:
    """Check that a callback has no parameter of another type. Raises ValidationError."""
    if foreign := [name for name in others if params.get(name) not in (None, {})]:
        raise serializers.ValidationError({"params": dict.fromkeys(foreign, f"Not a parameter of {kind}.")})


def _common(url: str, authorization: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "url": url,
        "content_type": params["content_type"],
        "login": authorization.get("login"),
        "password": authorization.get("password"),
        "timeout_s": params["timeout"],
    }


class CallbacksField(serializers.ListField):
    child = CallbackSerializer()

    def to_internal_value(self, data: Any) -> tuple[CallbackPolicy, ...]:  # type: ignore[override]
        return tuple(super().to_internal_value(data))
