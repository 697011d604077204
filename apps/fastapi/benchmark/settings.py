"""Tortoise's settings: a pool of up to 10 connections."""

from benchmark import environment

TORTOISE_ORM = {
    "connections": {
        "default": {
            "engine": "tortoise.backends.mysql",
            "credentials": {
                "host": environment.DATABASE_HOST,
                "port": environment.DATABASE_PORT,
                "user": environment.DATABASE_USER,
                "password": environment.DATABASE_PASSWORD,
                "database": environment.DATABASE_NAME,
                "minsize": 1,
                "maxsize": 10,
            },
        }
    },
    "apps": {"models": {"models": ["benchmark.models"], "default_connection": "default"}},
}
