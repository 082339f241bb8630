"""`source` of a content: its members by `source_type`, and the source that they describe."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rest_framework import serializers

from apps.accounts.auth.principal import Actor
from apps.common.fields import FlagField, TextField, WholeNumberField
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.recognition.types import ImageType
from apps.tasks.sources.archive import Archive
from apps.tasks.sources.base import Choice, Source
from apps.tasks.sources.disk import Disk
from apps.tasks.sources.ftp import Ftp
from apps.tasks.sources.s3 import SIGNATURES, Bucket
from apps.tasks.sources.samba import Samba

ZIP, S3, DISK, FTP, SAMBA = TYPES = ("zip", "s3", "network_disk", "ftp", "samba")
SECRETS = (("authorization", "password"), ("authorization", "secret_access_key"))
COMMON = frozenset({"source_type", "image_type", "prefix", "recursive"})
# Members of each type beside the common ones; those of `REQUIRED` must be present. A path names a nested member.
MEMBERS: Mapping[str, frozenset[str]] = {
    ZIP: frozenset({"reference", "postfix", "authorization.password"}),
    S3: frozenset(
        {
            "bucket_name",
            "endpoint",
            "region",
            "postfix",
            "save_origin",
            "authorization.public_access_key",
            "authorization.secret_access_key",
            "authorization.signature_version",
        }
    ),
    DISK: frozenset({"path", "follow_links", "postfix"}),
    FTP: frozenset({"host", "port", "max_sessions", "path", "postfix", "authorization.user", "authorization.password"}),
    SAMBA: frozenset({"host", "port", "path", "postfix", "authorization.user", "authorization.password"}),
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    ZIP: ("reference",),
    S3: ("bucket_name", "authorization.public_access_key", "authorization.secret_access_key"),
    DISK: ("path",),
    FTP: ("host", "authorization.user", "authorization.password"),
    SAMBA: ("host", "path"),
}
PORTS = {FTP: 21, SAMBA: 445}
MAX_SESSIONS, DEFAULT_SESSIONS = 16, 4
REFERENCE = re.compile(r"https?://[^\s/?#@]+(?:[/?].*)?|/.+")
ENDPOINT = re.compile(r"https?://[^\s/?#@]+/?")
HOST = re.compile(r"[^\s/\\@:?#]+|\[?[0-9A-Fa-f:.]+\]?")


class PlainField(TextField):
    """A text without control characters that matches a pattern."""

    def __init__(self, pattern: "re.Pattern[str] | None" = None, **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": pattern is None, "max_length": 1024} | kwargs)
        self._pattern = pattern

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError("Control characters are not allowed.")
        if self._pattern is not None and not self._pattern.fullmatch(text):
            raise serializers.ValidationError("The value has the wrong form.")
        return text


class PictureSourceAuthorizationSerializer(StrictSerializer):
    user = PlainField(max_length=256, allow_blank=False, help_text="FTP (required), Samba (default: guest).")
    password = PlainField(max_length=256, help_text="ZIP, FTP (required), Samba.")
    public_access_key = PlainField(max_length=256, allow_blank=False, help_text="S3 (required).")
    secret_access_key = PlainField(max_length=256, allow_blank=False, help_text="S3 (required).")
    signature_version = serializers.ChoiceField(choices=[*SIGNATURES], required=False, help_text="S3. Default: s3v4.")


class PictureSourceSerializer(StrictSerializer):
    """A place of pictures. Members of other types of sources are rejected."""

    source_type = serializers.ChoiceField(choices=TYPES)
    image_type = serializers.ChoiceField(
        choices=[(each.value, each.name) for each in ImageType], default=0, help_text="Content of all pictures."
    )
    prefix = PlainField(default="", help_text="Beginning of the names of the files, directories included.")
    postfix = PlainField(default="", help_text="End of the names of the files, such as `.jpg`.")
    recursive = FlagField(default=True, help_text="Whether files of nested directories count.")
    authorization = PictureSourceAuthorizationSerializer(required=False)
    reference = PlainField(REFERENCE, max_length=2048, help_text="ZIP: a URL, or the address of an object.")
    bucket_name = PlainField(re.compile(r"[^\s/?#]+(?:/[^\s?#]+)?"), max_length=256, help_text="S3: a name or an ARN.")
    endpoint = PlainField(ENDPOINT, max_length=256, help_text="S3: URL of the server. Default: Amazon's.")
    region = PlainField(re.compile(r"[a-zA-Z0-9-]+"), max_length=64, help_text="S3: region of the bucket.")
    save_origin = FlagField(required=False, help_text="S3: whether events keep the file's address as source image.")
    path = PlainField(
        max_length=1024, help_text="Network disk: an absolute path. FTP: a directory. Samba: share/directory."
    )
    follow_links = FlagField(required=False, help_text="Network disk: whether symbolic links count.")
    host = PlainField(HOST, max_length=255, help_text="FTP, Samba: name or IP address.")
    port = WholeNumberField(min_value=1, max_value=65535, required=False, help_text="FTP: 21. Samba: 445.")
    max_sessions = WholeNumberField(
        min_value=1, max_value=MAX_SESSIONS, required=False, help_text=f"FTP: connections. Default: {DEFAULT_SESSIONS}."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = attrs["source_type"]
        nested = attrs.get("authorization", {})
        given = {name for name in attrs if name != "authorization"} | {f"authorization.{name}" for name in nested}
        for name in sorted(given - COMMON - MEMBERS[kind]):
            _refuse(name, f"Not a member of the source type {kind}.")
        for name in REQUIRED[kind]:
            if name not in given:
                _refuse(name, "This field is required.")
        if kind == DISK and (not attrs["path"].startswith("/") or ".." in attrs["path"].split("/")):
            _refuse("path", "The path must be absolute, without `..`.")
        if kind == SAMBA and not attrs["path"].strip("/"):
            _refuse("path", "The path must begin with a share.")
        if kind == SAMBA and "password" in nested and "user" not in nested:
            _refuse("authorization.user", "This field is required.")
        if kind == S3 and attrs["bucket_name"].startswith("arn:") and ("endpoint" in attrs or "region" in attrs):
            _refuse("bucket_name", "An ARN excludes `endpoint` and `region`.")
        return attrs


def source_of(given: Mapping[str, Any], *, scope: Scope, actor: Actor, directory: Path) -> Source:
    """Return the source of validated members. `directory`: receives downloads."""
    choice = Choice(prefix=given["prefix"], postfix=given["postfix"], recursive=given["recursive"])
    kind, authorization = given["source_type"], given.get("authorization", {})
    if kind == ZIP:
        return Archive(
            reference=given["reference"],
            password=authorization.get("password"),
            choice=choice,
            scope=scope,
            actor=actor,
            directory=directory,
        )
    if kind == S3:
        return Bucket(
            bucket=given["bucket_name"],
            endpoint=given.get("endpoint"),
            region=given.get("region"),
            access_key=authorization["public_access_key"],
            secret_key=authorization["secret_access_key"],
            signature=authorization.get("signature_version", "s3v4"),
            keeps_origin=given.get("save_origin", False),
            choice=choice,
        )
    if kind == DISK:
        return Disk(path=given["path"], follow_links=given.get("follow_links", False), choice=choice)
    server = {
        "host": given["host"].strip("[]"),
        "port": given.get("port", PORTS[kind]),
        "path": given.get("path", ""),
        "user": authorization.get("user"),
        "password": authorization.get("password"),
        "choice": choice,
    }
    return Samba(**server) if kind == SAMBA else Ftp(sessions=given.get("max_sessions", DEFAULT_SESSIONS), **server)


def _refuse(path: str, problem: str) -> None:
    """Raise DRF's ValidationError of a member."""
    name, _, inner = path.partition(".")
    raise serializers.ValidationError({name: {inner: problem} if inner else problem})
