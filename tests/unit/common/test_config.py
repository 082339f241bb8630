"""The settings door: sources of values, rejections with their messages, replacement by tests and changes."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pydantic import SecretStr, ValidationError

from apps.accounts.config import Administrator, Logins, TokenSignature
from apps.common.config import (
    GROUPS,
    ExternalAddress,
    Http,
    Images,
    Paging,
    PlatformLimits,
    Scope,
    Services,
    Settings,
    SettingsError,
    Web,
    check_all,
    config,
    door,
    group,
    override_config,
    refresh,
    setting,
    use_stored,
)
from apps.common.config.checks import environment_check
from apps.common.config.groups import variable_names
from apps.common.config.page import END, with_settings_page
from apps.imagestore.config import S3
from apps.recognition.config import LivenessEstimator, Runtime, Switches

# Variables from before there were groups: deployments set them.
FORMER = """
ACCOUNTS_JWT_ECDSA_KEY ACCOUNTS_JWT_ECDSA_KEY_PASSWORD DATABASE_URL FORWARDED_ALLOW_IPS LUNA_ADMIN_ACCOUNT_ID
LUNA_ADMIN_LOGIN LUNA_ADMIN_PASSWORD LUNA_ALLOWED_HOSTS LUNA_ALLOW_ACCOUNT_ID_HEADER LUNA_ALLOW_PRIVATE_URLS
LUNA_AUDIT_RETENTION_DAYS LUNA_AUTO_ROTATION LUNA_CACHE_DIR LUNA_CREDENTIALS_CACHE_S LUNA_CSRF_TRUSTED_ORIGINS
LUNA_DECODING_PIXELS LUNA_DECODING_WAIT_S LUNA_DEEPFAKE_THRESHOLD LUNA_DEVICE LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT
LUNA_ENABLE_GAZE_ESTIMATOR LUNA_ENGINE_THREADS LUNA_EXTERNAL_ADDRESS LUNA_FAILED_LOGINS LUNA_FAILED_LOGINS_PER_ADDRESS
LUNA_FAILED_LOGINS_WINDOW_S LUNA_GPU_MEMORY_BYTES LUNA_HOST LUNA_HTTP_THREADS LUNA_IMAGE_STORE_DIR LUNA_INFERENCE_URL
LUNA_JWT_ECDSA_KEY LUNA_JWT_ECDSA_KEY_PASSWORD LUNA_LIVENESS_QUALITY_THRESHOLD LUNA_LIVENESS_THRESHOLD LUNA_LOG_LEVEL
LUNA_MAX_IMAGE_BYTES LUNA_MAX_IMAGE_PIXELS LUNA_MAX_JSON_BYTES LUNA_MAX_REQUEST_BYTES LUNA_NETWORKS_DIR
LUNA_OPEN_ADVANCED_REGISTRATION LUNA_OPEN_REGISTRATION LUNA_PASSWORD_MIN_LENGTH LUNA_PORT LUNA_REDIS_MAXMEMORY
LUNA_S3_ACCESS_KEY LUNA_S3_ATTEMPTS LUNA_S3_BUCKET LUNA_S3_CONNECT_TIMEOUT_S LUNA_S3_ENDPOINT LUNA_S3_LIFECYCLE
LUNA_S3_PAUSE_S LUNA_S3_READ_TIMEOUT_S LUNA_S3_REGION LUNA_S3_SECRET_KEY LUNA_S3_VERIFY_SSL LUNA_SECRET_KEY
LUNA_SENDER_QUEUE_BYTES LUNA_SENDER_QUEUE_MESSAGES LUNA_SENDER_RECHECK_S LUNA_TASK_THREADS LUNA_VAR_DIR LUNA_WORKERS
REDIS_URL
"""
PRIVATE_KEY = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----"

Stores = Callable[..., None]


@pytest.fixture(autouse=True)
def _own_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded yet, and nothing loaded here outlives the test."""
    monkeypatch.setattr(door, "_current", {})


@pytest.fixture
def stores() -> Iterator[Stores]:
    """Store values, by the name of their group."""
    yield lambda **groups: use_stored(lambda name: groups.get(name, {}))
    use_stored(door._nothing)


def test_no_variable_was_lost() -> None:
    known = {name for each in GROUPS.values() for name in variable_names(each)}
    assert set(FORMER.split()) - known == set()


def test_environment_over_stored_values_over_defaults(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores(PLATFORM_LIMITS={"match": {"reference_limit": 7, "candidate_limit": 8}})
    monkeypatch.setenv("LUNA_PLATFORM_LIMITS_MATCH_REFERENCE_LIMIT", "5")
    limits = config(PlatformLimits).match
    assert (limits.reference_limit, limits.candidate_limit, limits.result_candidate_limit) == (5, 8, 100)


def test_of_two_variables_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNTS_JWT_ECDSA_KEY", "/old.pem")
    assert config(TokenSignature).ecdsa_key.get_secret_value() == "/old.pem"
    monkeypatch.setenv("LUNA_JWT_ECDSA_KEY", r"-----BEGIN\nAAAA")
    door._current.clear()
    assert config(TokenSignature).ecdsa_key.get_secret_value() == "-----BEGIN\nAAAA"


@pytest.mark.parametrize(
    ("variable", "text", "model", "field", "value"),
    [
        ("LUNA_ALLOWED_HOSTS", "a.example, b.example,", Web, "allowed_hosts", ("a.example", "b.example")),
        ("LUNA_ALLOWED_HOSTS", '["a.example"]', Web, "allowed_hosts", ("a.example",)),
        ("LUNA_ALLOW_ACCOUNT_ID_HEADER", "off", Logins, "allow_luna_account_auth_header", False),
        ("LUNA_ALLOW_ACCOUNT_ID_HEADER", "Yes", Logins, "allow_luna_account_auth_header", True),
        ("LUNA_MAX_JSON_BYTES", "", Http, "json_max_size", 64 * 1024**2),
        ("LUNA_EXTERNAL_ADDRESS", "https://luna.example/", ExternalAddress, "origin", "https://luna.example"),
        ("LUNA_DEVICE", "cuda:1", Runtime, "global_device_class", "cuda:1"),
        ("LUNA_DEVICE", "gpu", Runtime, "global_device_class", "cuda"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1,fd00::/8,*", Web, "forwarded_allow_ips", ("10.0.0.1", "fd00::/8", "*")),
    ],
)
def test_texts_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, model: type[Settings], field: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(config(model), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("LUNA_PORT", "many", "LUNA_PORT must be a whole number from 1 to 65535, got 'many'."),
        ("LUNA_PORT", "0", "LUNA_PORT must be a whole number from 1 to 65535, got '0'."),
        ("LUNA_PORT", "1.5", "LUNA_PORT must be a whole number from 1 to 65535, got '1.5'."),
        ("LUNA_LIVENESS_THRESHOLD", "2", "LUNA_LIVENESS_THRESHOLD must be a number from 0 to 1, got '2'."),
        ("LUNA_DEEPFAKE_THRESHOLD", "nan", "LUNA_DEEPFAKE_THRESHOLD must be a number from 0 to 1, got 'nan'."),
        ("LUNA_SENDER_RECHECK_S", "0", "LUNA_SENDER_RECHECK_S must be a number above 0 up to 86400, got '0'."),
        ("LUNA_AUTO_ROTATION", "perhaps", "LUNA_AUTO_ROTATION must be true or false, got 'perhaps'."),
        ("LUNA_OPEN_REGISTRATION", "", "LUNA_OPEN_REGISTRATION must be true or false, got ''."),
        ("LUNA_ENABLE_GAZE_ESTIMATOR", "", "LUNA_ENABLE_GAZE_ESTIMATOR must be true or false, got ''."),
        ("LUNA_DEVICE", "tpu", "LUNA_DEVICE must be cpu, cuda or cuda:N, got 'tpu'."),
        ("LUNA_DEVICE", "cpu\n", r"LUNA_DEVICE must be cpu, cuda or cuda:N, got 'cpu\n'."),
        (
            "LUNA_LOG_LEVEL",
            "loud",
            "LUNA_LOG_LEVEL must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG, got 'loud'.",
        ),
        (
            "LUNA_EXTERNAL_ADDRESS",
            "luna.example",
            "LUNA_EXTERNAL_ADDRESS must be a URL that begins with `http://` or `https://`, got 'luna.example'.",
        ),
        ("LUNA_ADMIN_ACCOUNT_ID", "me", "LUNA_ADMIN_ACCOUNT_ID must be a UUID, got 'me'."),
        ("LUNA_ADMIN_LOGIN", "root", "LUNA_ADMIN_LOGIN must be an e-mail address, got 'root'."),
        (
            "FORWARDED_ALLOW_IPS",
            "10.0.0.0/8,proxy",
            "FORWARDED_ALLOW_IPS must be a list of IP addresses and networks, or `*` for every peer, got 'proxy'.",
        ),
        (
            "REDIS_URL",
            "http://user:secret@redis",
            "REDIS_URL must be a URL that begins with `redis://`, `rediss://` or `unix://`, got a value that is not "
            "shown.",
        ),
        (
            "LUNA_MAX_IMAGE_BYTES",
            "9" * 500,
            "LUNA_MAX_IMAGE_BYTES must be a whole number from 1 to 1099511627776, got '999",
        ),
    ],
)
def test_a_bad_value_is_one_sentence(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, sentence: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as refused:
        check_all()
    said = str(refused.value)
    assert said.startswith(sentence)
    assert len(said) < 200
    assert "secret" not in said
    assert "\n" not in said


def test_each_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LUNA_PORT", "LUNA_WORKERS", "LUNA_FAILED_LOGINS"):
        monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError) as refused:
        check_all()
    named = re.findall(r"LUNA_\w+", str(refused.value))
    assert sorted(named) == ["LUNA_FAILED_LOGINS", "LUNA_PORT", "LUNA_WORKERS"]


@pytest.mark.parametrize(
    ("model", "environment", "words"),
    [
        (
            Paging,
            {"LUNA_PAGING_DEFAULT_PAGE_SIZE": "50", "LUNA_PAGING_MAX_PAGE_SIZE": "20"},
            ["`default_page_size` must not exceed `max_page_size`, got 50 and 20"],
        ),
        (
            Runtime,
            {"LUNA_DEVICE": "cuda", "LUNA_INFERENCE_URL": "grpc://triton:8001"},
            ["LUNA_INFERENCE_URL", "LUNA_DEVICE", "'grpc://triton:8001'", "'cuda'"],
        ),
        (Runtime, {"LUNA_GPU_MEMORY_BYTES": "5"}, ["LUNA_GPU_MEMORY_BYTES needs LUNA_DEVICE=cuda, got 5"]),
        (S3, {"LUNA_S3_BUCKET": "b", "LUNA_S3_ACCESS_KEY": "a"}, ["LUNA_S3_ACCESS_KEY and LUNA_S3_SECRET_KEY"]),
        (S3, {"LUNA_S3_BUCKET": "b", "LUNA_S3_SECRET_KEY": "hidden"}, ["LUNA_S3_ACCESS_KEY and LUNA_S3_SECRET_KEY"]),
        (S3, {"LUNA_S3_ENDPOINT": "http://minio:9000"}, ["LUNA_S3_BUCKET is not set"]),
        (TokenSignature, {"LUNA_JWT_ECDSA_KEY_PASSWORD": "hidden"}, ["LUNA_JWT_ECDSA_KEY is not: set both or neither"]),
    ],
)
def test_values_that_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, model: type[Settings], environment: Mapping[str, str], words: list[str]
) -> None:
    for variable, text in environment.items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as refused:
        config(model)
    said = str(refused.value)
    assert [word for word in words if word not in said] == []
    assert said.endswith(".")
    assert "hidden" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LUNA_EXTERNAL_ADDRESS", "https://luna:hidden@luna.example"),
        ("LUNA_INFERENCE_URL", "http://user:hidden@triton:8000"),
        ("LUNA_ADMIN_LOGIN", PRIVATE_KEY),
        ("LUNA_HOST", PRIVATE_KEY),
    ],
)
def test_a_secret_in_a_place_that_is_shown(monkeypatch: pytest.MonkeyPatch, variable: str, text: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as refused:
        check_all()
    assert str(refused.value).startswith(f"{variable} must not contain a password or a private key")
    assert "hidden" not in str(refused.value)
    assert "AAAA" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    with override_config(Services, secret_key="hidden"), override_config(Administrator, password="hidden"):
        assert "hidden" not in repr(config(Services)) + str(config(Administrator))
        assert config(Services).secret_key == SecretStr("hidden")


def test_secrets_are_never_read_from_the_store(stores: Stores) -> None:
    stores(LUNA_SERVICES={"secret_key": "hidden"})
    with pytest.raises(SettingsError, match="LUNA_SERVICES > secret_key is a secret and must not be stored") as refused:
        config(Services)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (
            {"match": {"reference_limit": 0}},
            "PLATFORM_LIMITS > match > reference_limit must be a whole number from 1 to 10000, got 0.",
        ),
        (
            {"match": {"refrence_limit": 5}},
            "PLATFORM_LIMITS > match > refrence_limit is not a setting: write match > reference_limit, or remove it.",
        ),
        ({"other": 5}, "PLATFORM_LIMITS > other is not a setting."),
        ({"match": 5}, "PLATFORM_LIMITS > match"),
    ],
)
def test_a_bad_stored_value(stores: Stores, stored: Mapping[str, Any], sentence: str) -> None:
    stores(PLATFORM_LIMITS=stored)
    with pytest.raises(SettingsError) as refused:
        config(PlatformLimits)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("variable", "level", "words"),
    [
        ("LUNA_MAX_IMAGE_BYTE", "ERROR", "LUNA_MAX_IMAGE_BYTE is not a setting: write LUNA_MAX_IMAGE_BYTES"),
        ("LUNA_ENABLE_GAZE_ESTIMATER", "ERROR", "write LUNA_ENABLE_GAZE_ESTIMATOR"),
        ("LUNA_ALLOW_ACCOUNT_HEADER", "ERROR", "write LUNA_ALLOW_ACCOUNT_ID_HEADER"),
        ("LUNA_PORT_5000_TCP_PROTO", "WARNING", "LUNA_PORT_5000_TCP_PROTO is not a setting and has no effect."),
        ("LUNA_LOGINS", "WARNING", "The most similar name is LUNA_FAILED_LOGINS."),
    ],
)
def test_unknown_variables(monkeypatch: pytest.MonkeyPatch, variable: str, level: str, words: str) -> None:
    monkeypatch.setenv(variable, "hidden")
    (message,) = environment_check(None)
    assert words in str(message.msg)
    assert message.is_serious() is (level == "ERROR")
    assert "hidden" not in str(message.msg)


def test_known_variables_and_those_of_others_are_no_matter() -> None:
    assert [name for name in os.environ if name.startswith("LUNA_")]  # the tests' own directories
    assert environment_check(None) == []


def test_one_value_is_replaced(configure: Callable[..., None]) -> None:
    with override_config(PlatformLimits, match={"reference_limit": 2}):
        assert config(PlatformLimits).match.reference_limit == 2
        assert config(PlatformLimits).match.candidate_limit == 30
    assert config(PlatformLimits).match.reference_limit == 30
    configure(Paging, max_page_size=20)
    assert config(Paging).max_page_size == 20
    with pytest.raises(ValidationError), override_config(Paging, max_page_size=0):
        pass
    with pytest.raises(ValidationError), override_config(Paging, page_size=1):
        pass
    assert config(Paging).max_page_size == 20


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        config(Paging).max_page_size = 5


def test_a_change_of_stored_values(stores: Stores) -> None:
    for model in (Paging, Http, Images, Logins):
        config(model)
    stores(
        LUNA_PAGING={"max_page_size": 50},  # live
        LUNA_IMAGES={"max_bytes": 5},  # engine
        LUNA_API_HTTP_SETTINGS={"json_max_size": 5},  # start
    )
    assert config(Paging).max_page_size == 1000
    changed: set[type[Settings]] = {Paging, Images}
    assert refresh() == changed
    assert (config(Paging).max_page_size, config(Images).max_bytes) == (50, 5)
    assert config(Http).json_max_size == 64 * 1024**2
    assert refresh() == frozenset()
    stores(LUNA_PAGING={"max_page_size": 60}, LUNA_IMAGES={"max_bytes": -5})
    with pytest.raises(SettingsError, match="LUNA_IMAGES > max_bytes"):
        refresh()
    assert (config(Paging).max_page_size, config(Images).max_bytes) == (50, 5)


def test_a_group_is_declared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "GROUPS", dict(GROUPS))

    class Twice(Settings):
        port: int = setting(1, "A port.", env="LUNA_PORT")

    with pytest.raises(ValueError, match=r"LUNA_PORT \(LUNA_PROCESSES\)"):
        group("LUNA_TWICE", scope=Scope.LIVE)(Twice)
    with pytest.raises(ValueError, match="LUNA_PAGING is declared twice"):
        group("LUNA_PAGING", scope=Scope.LIVE)(Paging)


@pytest.mark.parametrize("each", GROUPS.values(), ids=lambda each: each.name)
def test_a_group_describes_itself(each: Any) -> None:
    """What the Configurator stores is checked by the schema: it accepts the group's own values."""
    assert each.model.__doc__
    for variable in each.variables:
        assert variable.field.description, variable.path
        assert each.property_schema(variable, each.schema)["env"] == list(variable.names)
    json.dumps(each.schema)
    jsonschema.Draft202012Validator.check_schema(each.schema)
    jsonschema.validate(config(each.model).model_dump(mode="json"), each.schema)


def test_switches_follow_their_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT", "0")
    monkeypatch.setenv("LUNA_ENABLE_GAZE_ESTIMATOR", "1")
    assert [name for name, on in config(Switches).all().items() if on] == ["gaze-estimator"]


def test_an_optional_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config(LivenessEstimator).estimator_settings.real_threshold is None
    monkeypatch.setenv("LUNA_LIVENESS_THRESHOLD", "0.25")
    door._current.clear()
    assert config(LivenessEstimator).estimator_settings.real_threshold == 0.25


def test_the_list_in_the_documentation_is_current() -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    assert page == with_settings_page(page), "settings have changed: run `make docs`"


def test_commands(tmp_path: Path) -> None:
    out = StringIO()
    call_command("settings_schema", "LUNA_PAGING", stdout=out)
    assert json.loads(out.getvalue())["properties"]["max_page_size"]["env"] == ["LUNA_PAGING_MAX_PAGE_SIZE"]
    out = StringIO()
    call_command("settings_schema", stdout=out)
    assert set(json.loads(out.getvalue())) == {each.name for each in GROUPS.values()}
    with pytest.raises(CommandError, match="LUNA_PAGES is not a group"):
        call_command("settings_schema", "LUNA_PAGES")
    file = tmp_path / "page.md"
    file.write_text("nothing")
    with pytest.raises(CommandError, match=r"the lines .* are missing"):
        call_command("settings_page", file=file)
    out = StringIO()
    call_command("settings_page", stdout=out)
    assert out.getvalue().strip().endswith(END)
