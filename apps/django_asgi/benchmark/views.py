"""The endpoints."""

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from benchmark import workload
from benchmark.models import Order, Product, User


@require_POST
async def io_intensive(request: HttpRequest) -> JsonResponse:
    return JsonResponse(await workload.run())


@require_GET
async def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_GET
async def users(request: HttpRequest) -> JsonResponse:
    return JsonResponse([row async for row in User.objects.order_by("id").values()], safe=False)


@require_GET
async def products(request: HttpRequest) -> JsonResponse:
    return JsonResponse([row async for row in Product.objects.order_by("id").values()], safe=False)


@require_GET
async def orders(request: HttpRequest) -> JsonResponse:
    return JsonResponse([row async for row in Order.objects.order_by("id").values()], safe=False)


@sync_to_async
def call_reset_seed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CALL reset_seed()")


@require_POST
async def reset(request: HttpRequest) -> JsonResponse:
    await call_reset_seed()
    return JsonResponse({"status": "ok"})
