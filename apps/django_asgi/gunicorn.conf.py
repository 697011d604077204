"""One worker that is never restarted, never times out (it may be frozen for minutes) and drops no idle connection."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import benchmark.environment  # noqa: F401  a wrong environment is said here, before any worker starts

wsgi_app = "benchmark.asgi:application"
bind = os.environ.get("BIND", "0.0.0.0:18002")
workers = 1
worker_class = "uvicorn_worker.UvicornWorker"  # takes uvloop and httptools, as they are installed
timeout = 0
graceful_timeout = 1
keepalive = 75
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
control_socket_disable = True
