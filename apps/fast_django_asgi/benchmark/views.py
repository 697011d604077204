"""The endpoints."""

from typing import Any

from fast_django.orm import Tortoise

from benchmark import workload
from benchmark.models import Order, Product, User


async def io_intensive() -> dict[str, int | float]:
    return await workload.run()


async def health() -> dict[str, str]:
    return {"status": "ok"}


async def users() -> list[dict[str, Any]]:
    return await User.all().order_by("id").values()


async def products() -> list[dict[str, Any]]:
    return await Product.all().order_by("id").values()


async def orders() -> list[dict[str, Any]]:
    return await Order.all().order_by("id").values()


async def reset() -> dict[str, str]:
    await Tortoise.get_connection("default").execute_script("CALL reset_seed()")
    return {"status": "ok"}
