"""Django's settings. Values that an operator may change come from the groups of settings (`apps.common.config`).

`docs/operations.md` lists the environment variables. Without `DATABASE_URL` or `REDIS_URL`, the embedded service
of `luna.embedded` is used.
"""

import os
import re
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from celery.schedules import crontab
from xstatic.pkg import leaflet

from apps.accounts.config import Passwords
from apps.common.config import (
    GROUPS,
    Directories,
    ExternalAddress,
    Logger,
    Pages,
    Services,
    SettingsError,
    Web,
    check_all,
    config,
    discover,
    installation_defaults,
    refresh,
    use_stored,
)
from apps.common.hosts import ANY
from apps.configurator.config import Configurator
from apps.configurator.stored import KEPT, Snapshot, StartValues, snapshot_at_start
from apps.imagestore.config import S3, ImageStore
from apps.matching.config import MatcherDevice
from luna import __version__
from luna.config import Processes
from luna.embedded.addresses import celery_broker_url, database_url, networks_dir, redis_url, var_dir
from luna.embedded.defaults import SUPERVISED_ADDRESS
from luna.embedded.secrets import secret_key
from luna.settings.admin import UNFOLD  # noqa: F401
from luna.settings.hosts import allowed_hosts, on_loopback, registration_default
from luna.settings.logging import logging_configuration

BASE_DIR = Path(__file__).resolve().parent.parent.parent
_var = var_dir()
installation_defaults(Directories, var=_var, networks=networks_dir(_var), cache=_var / "cache")
installation_defaults(
    Services,
    database_url=database_url(),
    redis_url=redis_url(),
    secret_key=os.environ.get("LUNA_SECRET_KEY") or secret_key(_var),
)
_stored = StartValues(Snapshot())
if config(Configurator).use_stored:
    _stored = StartValues(
        snapshot_at_start(
            database_url=config(Services).database_url.get_secret_value(),
            tags=config(Configurator).tags_by_name,
            kept=_var / KEPT,
        )
    )
use_stored(_stored)
if _supervised := os.environ.get(SUPERVISED_ADDRESS):
    installation_defaults(ExternalAddress, origin=_supervised)
installation_defaults(Logger, folder_with_logs=_var / "log")
installation_defaults(ImageStore, local_storage=_var / "image-store")
_device = os.environ.get("LUNA_DEVICE", "")  # an invalid one is reported for this variable alone
installation_defaults(MatcherDevice, device=_device if re.fullmatch(r"cuda(:[0-9]{1,2})?", _device) else "cpu")
installation_defaults(Web, allowed_hosts=() if on_loopback() else (ANY,))
registration_default()
# Containers that share the var directory may have processes of the same id.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(_var / "metrics" / socket.gethostname()))
LUNA_VERSION = __version__
LUNA_WEB_PROCESSES = config(Processes).workers

DEBUG = False
SECRET_KEY = config(Services).secret_key.get_secret_value()
ALLOWED_HOSTS = allowed_hosts()
CSRF_TRUSTED_ORIGINS = list(config(Web).csrf_trusted_origins)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "apps.accounts",  # before django.contrib.auth, whose commands of the same name it replaces
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "django_celery_beat",
    "luna",
    "apps.common",
    "apps.monitoring",
    "apps.configurator",
    "apps.licenses",
    "apps.imagestore",
    "apps.faces",
    "apps.events",
    "apps.recognition",
    "apps.matching",
    "apps.sender",
    "apps.handlers",
    "apps.descriptors",
    "apps.privacy",
    "apps.tasks",
    "apps.people",
    "apps.workbench",
    "apps.administration",
]
discover(app for app in INSTALLED_APPS if app.partition(".")[0] in ("apps", "luna"))
check_all()  # bad values end the process before anything starts

# Each layer takes time of every request. Django's CommonMiddleware is left out: no setting that it reads is in use.
MIDDLEWARE = [
    "apps.common.middleware.RequestIdMiddleware",
    "luna.http.middleware.AccessNotesMiddleware",
    "luna.http.middleware.ListenerMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.common.pages.SecurityHeadersMiddleware",
    "apps.common.middleware.HostMiddleware",
    "apps.common.compression.CompressionMiddleware",
    "apps.common.middleware.ErrorEnvelopeMiddleware",
    "apps.common.middleware.ContentEncodingMiddleware",
    "apps.accounts.idempotency.IdempotencyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.common.pages.LanguageMiddleware",
    "apps.common.pages.SessionMiddleware",
    "apps.common.pages.CsrfViewMiddleware",
    "apps.common.pages.AuthenticationMiddleware",
    "apps.common.pages.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "luna.urls.all"
ASGI_APPLICATION = "luna.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "luna.formats"
LANGUAGE_CODE = "en"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static", ("leaflet", leaflet.BASE_DIR)]
WHITENOISE_USE_FINDERS = True  # serves files from the packages: no `collectstatic`
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Data -----------------------------------------------------------------------------------------------------
# Persistent connections: HTTP runs in a fixed pool of threads (luna/asgi.py), one connection each.
DATABASES = {
    "default": environ.Env.db_url_config(config(Services).database_url.get_secret_value())
    | {
        "ENGINE": "luna.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Only cursors of `apps.common.prepared` prepare statements, from the fifth execution on. A lost connection to
        # a remote server is detected within half a minute.
        "OPTIONS": {
            "application_name": "luna",
            "connect_timeout": 10,
            "prepare_threshold": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "tcp_user_timeout": 30_000,
        },
    }
}
# The host may be the directory of a socket; it is percent-encoded in a URL.
DATABASES["default"]["HOST"] = unquote(DATABASES["default"]["HOST"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_redis = config(Services).redis_url.get_secret_value()
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "apps.common.cache.RedisCache", "LOCATION": _redis},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}},
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [_redis]},
    }
}

CELERY_BROKER_URL = celery_broker_url(_redis)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # log lines to a redirected stream are lost once `logging` is configured again
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "image store clean-up": {"task": "imagestore.clean_up", "schedule": crontab(hour=1, minute=0)},
    "deleted accounts": {"task": "accounts.erase", "schedule": crontab(minute="*/10")},
    "queued events of ended processes": {"task": "events.recover", "schedule": 60.0},
    "partitions of events": {"task": "events.partitions", "schedule": crontab(hour=0, minute=20)},
    "groups of people": {"task": "people.clean_up", "schedule": crontab(hour=1, minute=30)},
    "schedules of tasks": {"task": "tasks.schedules", "schedule": 5.0, "options": {"expires": 15.0}},
    "results without a task": {"task": "tasks.results", "schedule": crontab(minute="5-59/10")},
    "notices of the license": {"task": "licenses.watch", "schedule": crontab(hour=0, minute=5)},
    "audit log retention": {"task": "accounts.audit_prune", "schedule": crontab(hour=2, minute=0)},
    "history of settings": {"task": "configurator.clean_up", "schedule": crontab(hour=2, minute=10)},
}

# --- Image Store ----------------------------------------------------------------------------------------------
_s3 = config(S3)
_files: dict[str, Any] = {
    "BACKEND": "apps.imagestore.storage.DiskStorage",
    "OPTIONS": {"location": str(config(ImageStore).local_storage)},
}
if _s3.bucket:
    _files = {
        "BACKEND": "apps.imagestore.s3.S3Store",
        "OPTIONS": {
            "bucket_name": _s3.bucket,
            "endpoint_url": _s3.host or None,
            "access_key": _s3.aws_public_access_key or None,
            "secret_key": _s3.aws_secret_access_key.get_secret_value() or None,
            "region_name": _s3.region,
            "verify": _s3.verify_ssl,
            "lifecycle": _s3.lifecycle,
            "connect_timeout_s": _s3.connect_timeout,
            "read_timeout_s": _s3.request_timeout,
            "attempts": _s3.attempts,
            "pause_s": _s3.pause_s,
            # Of either half of the HTTP threads a quarter stays free for requests that do not need the Image Store.
            "at_once": max(1, config(Processes).http_threads * 3 // 8),
        },
    }
STORAGES: dict[str, dict[str, Any]] = {
    "default": _files,
    "staticfiles": {"BACKEND": "luna.staticfiles.PrefixedStaticFiles"},
}

# --- Accounts -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.Account"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["apps.accounts.auth.backends.AccountBackend"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_NAME = config(Pages).session_cookie_name
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = config(Pages).csrf_cookie_name
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "luna.error_pages.form_refused"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # a cookie would show names of objects
SECURE_HSTS_SECONDS = config(Pages).hsts_s
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())

_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": config(Passwords).min_length}},
    {
        "NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("login", "description")},
    },
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
# --- HTTP -----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.auth.authentication.LunaAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.auth.access.AccountPermission"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.common.api.renderers.TolerantNegotiation",
    "DEFAULT_RENDERER_CLASSES": [
        "apps.common.api.renderers.JSONRenderer",
        "apps.common.api.renderers.MsgPackRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "apps.common.api.parsers.JSONParser",
        "apps.common.api.parsers.MsgPackParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "apps.common.api.schema.LunaSchema",
    "EXCEPTION_HANDLER": "apps.common.api.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": "apps.accounts.auth.authentication.nobody",
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,  # `Accept` alone chooses the format
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%fZ",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Luna",
    "DESCRIPTION": "Face and body recognition: the HTTP API, version 6.",
    "VERSION": "6",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/6",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # bodies of PATCH have serializers of their own
    # The default hook is left out: it would move enumerations into components with generated names.
    "POSTPROCESSING_HOOKS": ["apps.common.api.schema.complete_document"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # `request_max_size` limits every body, multipart included
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_TEMP_DIR = config(Directories).tmp
FILE_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024**2

# --- Logging --------------------------------------------------------------------------------------------------
try:
    LOGGING = logging_configuration()
except SettingsError as error:  # the directory of log files cannot be used
    if not _stored.ignore(GROUPS[Logger].name, str(error)):
        raise
    refresh()
    LOGGING = logging_configuration()
