"""Which address leads where."""

from django.urls import path

from benchmark import views

urlpatterns = [
    path("api/benchmark/io_intensive/", views.io_intensive),
    path("api/benchmark/health/", views.health),
    path("api/users/", views.users),
    path("api/products/", views.products),
    path("api/orders/", views.orders),
    path("api/benchmark/reset/", views.reset),
]
