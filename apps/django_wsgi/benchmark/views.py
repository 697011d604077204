"""The endpoints."""

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from benchmark import workload
from benchmark.models import Order, Product, User


@require_POST
def io_intensive(request: HttpRequest) -> JsonResponse:
    return JsonResponse(workload.run())


@require_GET
def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_GET
def users(request: HttpRequest) -> JsonResponse:
    return JsonResponse(list(User.objects.order_by("id").values()), safe=False)


@require_GET
def products(request: HttpRequest) -> JsonResponse:
    return JsonResponse(list(Product.objects.order_by("id").values()), safe=False)


@require_GET
def orders(request: HttpRequest) -> JsonResponse:
    return JsonResponse(list(Order.objects.order_by("id").values()), safe=False)


@require_POST
def reset(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("CALL reset_seed()")
    return JsonResponse({"status": "ok"})
