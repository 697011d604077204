"""Serving: the site's files to this machine, and a new build when something changed."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.serve import follow, stamps, start


def test_files_are_served_fresh_and_a_taken_port_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("here")
    with start(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/index.html") as answer:
            assert answer.read() == b"here"
            assert answer.headers["Cache-Control"] == "no-store"
        with pytest.raises(PipelineError, match="Address already in use"):
            start(tmp_path, server.server_port)
        server.shutdown()


def test_a_change_builds_again(tmp_path: Path) -> None:
    watched, made = tmp_path / "watched", tmp_path / "made"
    watched.mkdir()
    end = threading.Event()
    command = [sys.executable, "-c", f"open({str(made)!r}, 'a').write('.')"]
    thread = threading.Thread(target=follow, args=(command, [watched], stamps([watched]), end))
    thread.start()
    (watched / "run.json").write_text("{}")
    deadline = time.monotonic() + 20
    while not made.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    end.set()
    thread.join()
    assert made.read_text() == "."
