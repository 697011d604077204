"""Which address leads where."""

from fast_django.routers import APIRouter

from benchmark import views

router = APIRouter()
router.post("/api/benchmark/io_intensive/")(views.io_intensive)
router.get("/api/benchmark/health/")(views.health)
router.get("/api/users/")(views.users)
router.get("/api/products/")(views.products)
router.get("/api/orders/")(views.orders)
router.post("/api/benchmark/reset/")(views.reset)
