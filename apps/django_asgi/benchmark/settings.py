"""Django's settings: nothing beside the workload; connections go back to a pool after each request."""

from benchmark import environment

ROOT_URLCONF = "benchmark.urls"
INSTALLED_APPS = ["benchmark"]
MIDDLEWARE: list[str] = []

DATABASES = {
    "default": {
        "ENGINE": "benchmark.pool",
        "HOST": environment.DATABASE_HOST,
        "PORT": environment.DATABASE_PORT,
        "USER": environment.DATABASE_USER,
        "PASSWORD": environment.DATABASE_PASSWORD,
        "NAME": environment.DATABASE_NAME,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"isolation_level": None},  # the server's, as in every backend
    }
}
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {  # by default Django keeps what went wrong to itself when DEBUG is off
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
