"""Which address leads where."""

from fastapi import APIRouter

from benchmark import views

router = APIRouter()
router.post("/io-intensive")(views.io_intensive)
router.get("/health")(views.health)
router.get("/users")(views.users)
router.get("/products")(views.products)
router.get("/orders")(views.orders)
router.post("/reset")(views.reset)
