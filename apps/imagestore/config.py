"""Settings of the Image Store."""

from pathlib import Path

from pydantic import SecretStr, model_validator

from apps.common.config import Scope, Settings, group, setting


@group("LUNA_IMAGE_STORE", scope=Scope.START)
class ImageStore(Settings):
    """Pictures and files of the Image Store."""

    local_storage: Path = setting(
        ...,
        "Directory of the files. Default: `image-store` in the var directory.",
        env="LUNA_IMAGE_STORE_DIR",
    )
    strip_metadata: bool = setting(
        False,
        "Removes EXIF with GPS, XMP, IPTC, comments and appended files from pictures before they are stored. Pixels "
        "and orientation are kept. Otherwise pictures are stored as they are sent.",
        env="LUNA_STRIP_METADATA",
    )


@group("S3", scope=Scope.START)
class S3(Settings):
    """The Image Store in an S3 bucket instead of on disk."""

    bucket: str = setting("", "Name of an existing bucket. Default: none, so files are on disk.", env="LUNA_S3_BUCKET")
    host: str = setting(
        "",
        "URL of the S3 server. Default: Amazon's.",
        env="LUNA_S3_ENDPOINT",
        accepts="a URL that begins with `http://` or `https://`",
        pattern=r"^(https?://[^\s/].*)?$",
    )
    region: str = setting("us-east-1", "Region of the bucket.", env="LUNA_S3_REGION")
    aws_public_access_key: str = setting(
        "", "Access key. Default: that of the AWS environment.", env="LUNA_S3_ACCESS_KEY"
    )
    aws_secret_access_key: SecretStr = setting(
        SecretStr(""), "Secret key. Default: that of the AWS environment.", env="LUNA_S3_SECRET_KEY"
    )
    verify_ssl: bool = setting(True, "Whether the server's certificate is verified.", env="LUNA_S3_VERIFY_SSL")
    lifecycle: bool = setting(
        False,
        "Whether S3 deletes objects that have their own time to live, by the tag `vl-expire`. Run "
        "`.venv/bin/python manage.py s3_lifecycle` once to set the bucket's rules and the tags of stored objects.",
        env="LUNA_S3_LIFECYCLE",
    )
    connect_timeout: float = setting(
        3.0, "Seconds to wait for a connection.", env="LUNA_S3_CONNECT_TIMEOUT_S", gt=0, le=600
    )
    request_timeout: float = setting(
        8.0, "Seconds without data after which a call fails.", env="LUNA_S3_READ_TIMEOUT_S", gt=0, le=600
    )
    attempts: int = setting(2, "Attempts per call.", env="LUNA_S3_ATTEMPTS", ge=1, le=20)
    pause_s: float = setting(
        5.0,
        "Seconds for which the circuit breaker stays open after three unanswered calls in a row. Requests that need S3 "
        "are then answered with 503 and 20005. After the pause, it is half-open: one trial call at a time. At most "
        "three eighths of `LUNA_HTTP_THREADS` wait for S3.",
        env="LUNA_S3_PAUSE_S",
        ge=0,
        le=3600,
    )

    @model_validator(mode="after")
    def _complete(self) -> "S3":
        if bool(self.aws_public_access_key) != bool(self.aws_secret_access_key.get_secret_value()):
            raise ValueError("LUNA_S3_ACCESS_KEY and LUNA_S3_SECRET_KEY belong together: set both or neither")
        if not self.bucket and (self.host or self.aws_public_access_key or self.lifecycle):
            raise ValueError("LUNA_S3_BUCKET is not set, but other LUNA_S3_… variables are: files would stay on disk")
        return self
