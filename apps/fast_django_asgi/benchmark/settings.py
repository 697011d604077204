"""fast-django's settings: a pool of up to 10 connections, no admin."""

from urllib.parse import quote

from fast_django.settings import OrmConfig
from fast_django.settings import Settings as BaseSettings
from pydantic import Field

from benchmark import environment

DATABASE_URL = (
    f"mysql://{quote(environment.DATABASE_USER, safe='')}:{quote(environment.DATABASE_PASSWORD, safe='')}"
    f"@{environment.DATABASE_HOST}:{environment.DATABASE_PORT}/{environment.DATABASE_NAME}?minsize=1&maxsize=10"
)


class Settings(BaseSettings):
    app_name: str = "benchmark"
    orm: OrmConfig = OrmConfig(models=["benchmark.models"], connections={"default": DATABASE_URL})
    installed_apps: list[str] = Field(default_factory=lambda: ["benchmark"])
    admin_enabled: bool = False
