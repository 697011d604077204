"""The application that gunicorn serves."""

from fast_django import create_app
from tortoise.context import require_context, set_global_context

from benchmark.settings import Settings


async def share_tortoise() -> None:
    """Make what fast-django initialised at start-up visible to requests, which run in tasks of their own."""
    set_global_context(require_context())


application = create_app(Settings())
application.router.add_event_handler("startup", share_tortoise)
