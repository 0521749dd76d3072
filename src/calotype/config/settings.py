"""Django's settings, derived from the site's one file (`config.site`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.utils.csp import CSP

from calotype.config.release import release
from calotype.config.site import Email, Site, data_directory, load, region_name
from calotype.infra.partitions import VerticalPartitionRouter

DATA = data_directory()
SITE: Site = load(DATA)

SECRET_KEY = SITE.secret_key
DEBUG = SITE.web.debug
ALLOWED_HOSTS = list(SITE.web.allowed_hosts)
PUBLIC_URL = SITE.web.public_url.rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
HTTPS = PUBLIC_URL.startswith("https://")
OFFLINE = SITE.web.offline and not DEBUG
"""Static files of a site under development have no hashes in their names: they may not be kept."""

ROOT_URLCONF = "calotype.config.urls"
INSTALLED_APPS = [
    "calotype.product.accounts.apps.AccountsConfig",
    "calotype.web.apps.WebConfig",
    "calotype.efficiency.console",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# The site's own pages run on the lean handler with these alone, outermost first.
LEAN_MIDDLEWARE = [
    "calotype.web.middleware.AccessLog",
    "calotype.web.compression.Compression",
    "calotype.web.native.SecurityHeaders",
    "calotype.web.native.Locale",  # around the errors: they are told in the language of whoever asked
    "calotype.web.middleware.Errors",
    "calotype.web.middleware.Deadline",
    "calotype.web.middleware.TicketHolders",
    "calotype.web.middleware.Sessions",
    "calotype.web.native.Common",
    "calotype.web.native.Csrf",
    "calotype.web.native.Messages",
]

DYNOSTATS = {
    "directory": DATA / "dynostats",
    "release": release(),
    "region": region_name(SITE),
    "profile_one_in": SITE.dynostats.profile_one_in,
    "sampling": {
        "one_in": SITE.dynostats.one_in,
        "slow_ms": SITE.dynostats.slow_ms,
        "meter": SITE.dynostats.meter,
    },
    "metrics_token": SITE.dynostats.metrics_token,
    "otlp": SITE.dynostats.otlp,
    "service": "calotype",
}

# Django's admin under /admin/ and the console under /ops/ have the stock handler and the stock middleware.
MIDDLEWARE = [
    "calotype.efficiency.dynostats.django.Dynostats",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

PRODUCT = Path(__file__).parent.parent / "product"
SLICES = (
    "follows",
    "photos",
    "likes",
    "comments",
    "sharing",
    "feed",
    "notifications",
    "profiles",
    "tags",
    "explore",
    "demo",
    "design",
)
"""The slices of the product that are no apps of Django: without models of its ORM."""

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PRODUCT / name / "templates" for name in SLICES],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

REQUEST_SECONDS = 10.0
UPLOAD_SECONDS = 300.0
UPLOAD_LIMITS = {
    "/new/": 1 << 30,
    "/new/edited/": 52_000_000,
    "/share/": 1 << 30,
    "/settings/profile/": 12_000_000,
}
"""Paths whose bodies may be larger than a form's, in bytes. 60 files of 16 MB fit into one upload."""
CHUNK_LIMITS = {"/uploads/": 8 << 20}
"""Paths below which a PATCH carries a chunk of a file, in bytes."""
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
DATA_UPLOAD_MAX_NUMBER_FILES = 100
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20


def _database(dsn: str) -> dict[str, Any]:
    """A DSN as Django wants it."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", [parts.hostname or ""])[0],
        "PORT": query.get("port", [str(parts.port or "")])[0],
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }


def _mailer(email: Email) -> dict[str, Any]:
    """How mail is sent, as Django wants it."""
    backends = "django.core.mail.backends"
    if email.backend == "console":
        return {"BACKEND": f"{backends}.console.EmailBackend"}
    if email.backend == "file":
        return {"BACKEND": f"{backends}.filebased.EmailBackend", "OPTIONS": {"file_path": str(DATA / "mail")}}
    server = {"host": email.host, "port": email.port, "use_tls": email.tls, "timeout": 10}
    login = {"username": email.user, "password": email.password} if email.user else {}
    return {"BACKEND": f"{backends}.smtp.EmailBackend", "OPTIONS": server | login}


DATABASES = {alias: _database(dsn) for alias, dsn in SITE.databases.items()}
DATABASE_ROUTERS = [VerticalPartitionRouter({"web": "sessions"})]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.Account"
AUTHENTICATION_BACKENDS = ["calotype.product.accounts.backends.AccountBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/log-in/"
PASSWORD_RESET_TIMEOUT = 3600

SESSION_ENGINE = "calotype.web.sessions"
SESSION_COOKIE_NAME = "session"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "calotype.web.errors.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:", "blob:"],  # blob: photographs that are not uploaded yet
    "worker-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "manifest-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
}

FEED = SITE.feed

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español")]
"""Each by the name that its speakers give it. How to add one: docs/languages.md."""
PSEUDO_LANGUAGE = "ar-xb"
"""English, turned to run from right to left and made longer: it shows what a layout or a sentence would do in other
languages. Only for whoever develops: never in a menu, and not there at all on a site that serves people."""
if DEBUG or os.environ.get("CALOTYPE_PSEUDO_LANGUAGE") == "1":
    LANGUAGES.append((PSEUDO_LANGUAGE, "Right to left"))
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = HTTPS
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [path for name in SLICES if (path := PRODUCT / name / "static").is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "calotype.web.static_files.StaticFiles"},
}

DEFAULT_FROM_EMAIL = SITE.email.sender
MAILERS = {"default": _mailer(SITE.email)}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"calotype": {"level": "INFO"}, "django.security.csrf": {"level": "ERROR"}},
}
