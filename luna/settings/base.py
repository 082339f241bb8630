"""Settings of the platform. Everything that an operator may change comes from the environment.

Names of environment variables stand in `docs/operations.md`. Addresses of PostgreSQL and Redis come from
`DATABASE_URL` and `REDIS_URL`; where one is missing, `luna.embedded` names the services that it runs itself.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from celery.schedules import crontab

from apps.recognition.switches import SWITCHES, variable
from luna import __version__
from luna.embedded.addresses import celery_broker_url, database_url, networks_dir, redis_url, var_dir
from luna.embedded.secrets import secret_key
from luna.settings.admin import UNFOLD  # noqa: F401

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = var_dir()
NETWORKS_DIR = networks_dir(VAR_DIR)
CACHE_DIR = Path(env.str("LUNA_CACHE_DIR", default=str(VAR_DIR / "cache")))  # the networks' packages
LUNA_VERSION = __version__

DEBUG = False
SECRET_KEY = env.str("LUNA_SECRET_KEY", default="") or secret_key(VAR_DIR)
ALLOWED_HOSTS = env.list("LUNA_ALLOWED_HOSTS", default=["*"])
CSRF_TRUSTED_ORIGINS = env.list("LUNA_CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
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
    "apps.accounts",
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
]

MIDDLEWARE = [
    "apps.common.middleware.RequestIdMiddleware",
    "apps.common.middleware.ErrorEnvelopeMiddleware",
    "apps.common.middleware.ContentEncodingMiddleware",
    "apps.accounts.idempotency.IdempotencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "luna.urls.all"
ASGI_APPLICATION = "luna.asgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
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
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # files are served from where their packages keep them: no `collectstatic`
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Data -----------------------------------------------------------------------------------------------------
# Connections live as long as their thread: HTTP runs in a fixed pool of threads (luna/asgi.py).
LUNA_HTTP_THREADS = env.int("LUNA_HTTP_THREADS", default=16)  # per web process; each holds a database connection
DATABASES = {
    "default": env.db_url_config(database_url())
    | {
        "ENGINE": "luna.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Only cursors of `apps.common.prepared` prepare anything: from its fifth execution on.
        "OPTIONS": {"application_name": "luna", "connect_timeout": 10, "prepare_threshold": 5},
    }
}
# The host may be the directory of a socket, which a URL holds escaped.
DATABASES["default"]["HOST"] = unquote(DATABASES["default"]["HOST"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis_url()
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "apps.common.cache.RedisCache", "LOCATION": REDIS_URL},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}},
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
}

CELERY_BROKER_URL = celery_broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "image store clean-up": {"task": "imagestore.clean_up", "schedule": crontab(hour=1, minute=0)},
    "deleted accounts": {"task": "accounts.erase", "schedule": crontab(minute="*/10")},
    "audit log retention": {"task": "accounts.audit_prune", "schedule": crontab(hour=2, minute=0)},
}

# --- Image Store ----------------------------------------------------------------------------------------------
IMAGE_STORE_DIR = Path(env.str("LUNA_IMAGE_STORE_DIR", default=str(VAR_DIR / "image-store")))
IMAGE_STORE: dict[str, Any] = {
    "BACKEND": "apps.imagestore.storage.DiskStorage",
    "OPTIONS": {"location": str(IMAGE_STORE_DIR)},
}
if env.str("LUNA_S3_BUCKET", default=""):
    IMAGE_STORE = {
        "BACKEND": "apps.imagestore.s3.S3Store",
        "OPTIONS": {
            "bucket_name": env.str("LUNA_S3_BUCKET"),
            "endpoint_url": env.str("LUNA_S3_ENDPOINT", default="") or None,
            "access_key": env.str("LUNA_S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("LUNA_S3_SECRET_KEY", default="") or None,
            "region_name": env.str("LUNA_S3_REGION", default="us-east-1"),
            "verify": env.bool("LUNA_S3_VERIFY_SSL", default=True),
            "lifecycle": env.bool("LUNA_S3_LIFECYCLE", default=False),
            "connect_timeout_s": env.float("LUNA_S3_CONNECT_TIMEOUT_S", default=3.0),
            "read_timeout_s": env.float("LUNA_S3_READ_TIMEOUT_S", default=8.0),
            "attempts": env.int("LUNA_S3_ATTEMPTS", default=2),
            "pause_s": env.float("LUNA_S3_PAUSE_S", default=5.0),
            # Of the HTTP threads some are always left for what does not need the Image Store.
            "at_once": max(1, LUNA_HTTP_THREADS * 3 // 4),
        },
    }
STORAGES: dict[str, dict[str, Any]] = {
    "default": IMAGE_STORE,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- Accounts -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.Account"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["apps.accounts.auth.backends.AccountBackend"]
LOGIN_URL = "/admin/login/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())

LUNA_ADMIN_ACCOUNT_ID = env.str("LUNA_ADMIN_ACCOUNT_ID", default="00000000-0000-4000-b000-000000000146")
LUNA_ADMIN_LOGIN = env.str("LUNA_ADMIN_LOGIN", default="admin@luna.local")
LUNA_ADMIN_PASSWORD = env.str("LUNA_ADMIN_PASSWORD", default="")
LUNA_ALLOW_ACCOUNT_ID_HEADER = env.bool("LUNA_ALLOW_ACCOUNT_ID_HEADER", default=True)
LUNA_CREDENTIALS_CACHE_S = env.int("LUNA_CREDENTIALS_CACHE_S", default=10)
# Anybody may register an account of his own; one that reads all accounts' data needs an administrator.
LUNA_OPEN_REGISTRATION = env.bool("LUNA_OPEN_REGISTRATION", default=True)
LUNA_OPEN_ADVANCED_REGISTRATION = env.bool("LUNA_OPEN_ADVANCED_REGISTRATION", default=False)
LUNA_PASSWORD_MIN_LENGTH = env.int("LUNA_PASSWORD_MIN_LENGTH", default=4)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": LUNA_PASSWORD_MIN_LENGTH},
    }
]
LUNA_FAILED_LOGINS = env.int("LUNA_FAILED_LOGINS", default=10)
LUNA_FAILED_LOGINS_PER_ADDRESS = env.int("LUNA_FAILED_LOGINS_PER_ADDRESS", default=50)  # of all logins together
LUNA_FAILED_LOGINS_WINDOW_S = env.int("LUNA_FAILED_LOGINS_WINDOW_S", default=60)
LUNA_AUDIT_RETENTION_DAYS = env.int("LUNA_AUDIT_RETENTION_DAYS", default=0)  # 0: for ever
# PEM, its Base64, or a file's name: tokens are signed by ES256 then. The platform's own names are understood, too.
LUNA_JWT_ECDSA_KEY = env.str(
    "LUNA_JWT_ECDSA_KEY", default=env.str("ACCOUNTS_JWT_ECDSA_KEY", default="", multiline=True), multiline=True
)
LUNA_JWT_ECDSA_KEY_PASSWORD = env.str(
    "LUNA_JWT_ECDSA_KEY_PASSWORD", default=env.str("ACCOUNTS_JWT_ECDSA_KEY_PASSWORD", default="")
)

# --- Sender ---------------------------------------------------------------------------------------------------
# What one websocket may have waiting before it is ended as a slow reader, and how often its credentials are looked at.
LUNA_SENDER_QUEUE_MESSAGES = env.int("LUNA_SENDER_QUEUE_MESSAGES", default=10_000)
LUNA_SENDER_QUEUE_BYTES = env.int("LUNA_SENDER_QUEUE_BYTES", default=16 * 1024**2)
LUNA_SENDER_RECHECK_S = env.float("LUNA_SENDER_RECHECK_S", default=10.0)

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
    # Without the default hook: enumerations stay where they are used, without invented names.
    "POSTPROCESSING_HOOKS": ["apps.common.api.schema.add_error_responses"],
}
LUNA_EXTERNAL_ADDRESS = env.str("LUNA_EXTERNAL_ADDRESS", default="http://127.0.0.1:5000")
MAX_REQUEST_BYTES = env.int("LUNA_MAX_REQUEST_BYTES", default=1024**3)
MAX_JSON_BYTES = env.int("LUNA_MAX_JSON_BYTES", default=64 * 1024**2)
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # MAX_REQUEST_BYTES bounds every body, multipart included
DATA_UPLOAD_MAX_NUMBER_FILES = 1000
FILE_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024**2

# --- Recognition ----------------------------------------------------------------------------------------------
LUNA_DEVICE = env.str("LUNA_DEVICE", default="cpu")  # cpu | cuda | cuda:N
LUNA_GPU_MEMORY_BYTES = env.int("LUNA_GPU_MEMORY_BYTES", default=0)  # bound of each network's arena; 0: none
LUNA_INFERENCE_URL = env.str("LUNA_INFERENCE_URL", default="")  # who runs the networks: http(s):// or grpc(s)://
# Detectors and estimators, on or off: `LUNA_ENABLE_GAZE_ESTIMATOR=0` (docs/operations.md).
LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT = env.bool("LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT", default=True)
LUNA_ENABLE = {switch: env.bool(variable(switch), default=LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT) for switch in SWITCHES}
LUNA_ENGINE_THREADS = env.int("LUNA_ENGINE_THREADS", default=0)  # 0: one per core
LUNA_MAX_IMAGE_BYTES = env.int("LUNA_MAX_IMAGE_BYTES", default=15 * 1024**2)
LUNA_MAX_IMAGE_PIXELS = env.int("LUNA_MAX_IMAGE_PIXELS", default=50_000_000)
# Pixels that a process decodes at a time, some 10 bytes each, and how long a picture waits for its turn.
LUNA_DECODING_PIXELS = env.int("LUNA_DECODING_PIXELS", default=100_000_000)
LUNA_DECODING_WAIT_S = env.float("LUNA_DECODING_WAIT_S", default=10.0)
LUNA_AUTO_ROTATION = env.bool("LUNA_AUTO_ROTATION", default=False)  # of pictures whose faces lie or stand on end
# Thresholds 0..1 of predictions; for liveness the network's own unless one is set.
LUNA_LIVENESS_THRESHOLD = env.float("LUNA_LIVENESS_THRESHOLD", default=None)
LUNA_LIVENESS_QUALITY_THRESHOLD = env.float("LUNA_LIVENESS_QUALITY_THRESHOLD", default=0.5)
LUNA_DEEPFAKE_THRESHOLD = env.float("LUNA_DEEPFAKE_THRESHOLD", default=0.5)
LUNA_ALLOW_PRIVATE_URLS = env.bool("LUNA_ALLOW_PRIVATE_URLS", default=False)

# --- Logging --------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "apps.common.middleware.RequestIdFilter"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LUNA_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "CRITICAL"},
        "httpx": {"level": "WARNING"},  # else a line for each call of an inference server
    },
}
