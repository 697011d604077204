"""Serving: the site's files to this machine, and a new build when something changed."""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.steps.serve import follow, stamps, start


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


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a server of ``tmp_path/site``, which has links out of it, and things that are no files."""
    site = tmp_path / "site"
    (site / "run").mkdir(parents=True)
    (site / "empty").mkdir()
    (site / "linked").mkdir()
    (site / "index.html").write_text("here")
    (site / "run" / "a b.html").write_text("a run")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "index.html").write_text("secret")
    (tmp_path / "site-2").mkdir()
    (tmp_path / "site-2" / "x").write_text("secret")
    (site / "file").symlink_to(tmp_path / "secret")
    (site / "folder").symlink_to(tmp_path / "beside")
    (site / "near").symlink_to(tmp_path / "site-2")
    (site / "linked" / "index.html").symlink_to("../../secret")
    (site / "loop").symlink_to("loop")
    (site / "own").symlink_to("run")
    os.mkfifo(site / "pipe")
    with start(site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """The status and the whole of an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.0 "), answer[:200]
    return int(answer.split()[1]), answer


def get(port: int, path: str | bytes, host: str | None = None, method: bytes = b"GET") -> tuple[int, bytes]:
    path = path if isinstance(path, bytes) else path.encode()
    return ask(port, b"%s %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (method, path, (host or f"127.0.0.1:{port}").encode()))


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LocalHost:{}", "[::1]:{}", "localhost", "127.0.0.1"])
def test_this_machine_is_answered(port: int, host: str) -> None:
    status, answer = get(port, "/", host.format(port))
    assert (status, answer[-4:]) == (200, b"here")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{}", "localhost.evil.example:{}", "localhost:1", "127.0.0.1:{}.evil.example"),
        *(
            "127.0.0.2:{}",
            "user@localhost:{}",
            "localhost:",
            "[::1",
            "0.0.0.0:{}",
            "x\x1b[2J",
            "localhost:{}, evil",
            "é",
        ),
    ],
)
def test_any_other_host_is_refused(port: int, host: str) -> None:
    for path in ("/", "/not-there", "/run"):
        status, answer = get(port, path, host.format(port))
        assert (status, b"here" in answer) == (421, False)


@pytest.mark.parametrize("headers", [b"", b"Host: localhost\r\nHost: evil.example\r\n", b"X: 1\r\n"])
def test_a_request_has_one_host(port: int, headers: bytes) -> None:
    for version in (b"1.0", b"1.1"):
        assert ask(port, b"GET / HTTP/%s\r\n%s\r\n" % (version, headers))[0] == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *[("/run/a%20b.html", 200), ("/own/a%20b.html", 200), ("/?x=%00", 200), ("/run/a%20b.html?x#y", 200)],
        *[("/%00", 400), ("/a%00.html", 400), ("/%0d%0aX:1", 400), ("/%ff", 400), ("/%C0%AE%C0%AE/x", 400)],
        *[
            ("/%5c..%5csecret", 400),
            ("*", 400),
            ("http://evil.example/", 400),
            ("/%E2%80%AE", 400),
            ("/%ED%A0%80", 400),
        ],
        *[("/../secret", 403), ("/%2e%2e/secret", 403), ("/run/..%2f..%2fsecret", 403), ("/..", 403)],
        *[("/file", 403), ("/folder/", 403), ("/folder", 403), ("/linked/", 403), ("/near/x", 403), ("/loop", 403)],
        *[("/pipe", 403), ("/file?x", 403), ("/%66ile", 403), ("//file", 403)],
        *[("/%252e%252e/secret", 404), ("/run/", 404), ("/empty/", 404), ("/index.html/", 404), ("/x", 404)],
        *[("/" + "x" * 5_000, 404), ("/" + "x/" * 20_000, 404), ("/" + "x" * 70_000, 414)],
        *[("//evil.example", 404), ("//evil.example/..", 403), ("/%2f%2fevil.example", 404), ("/run", 301)],
    ],
)
def test_only_the_site_is_served(port: int, path: str, status: int) -> None:
    found, answer = get(port, path)
    assert (found, b"secret" in answer) == (status, False), answer[:300]
    assert b"\nLocation: //" not in answer
    assert get(port, path, method=b"HEAD")[0] == status


@pytest.mark.parametrize(
    "request_", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_noise_is_no_fault(port: int, request_: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1 << 16)
    assert get(port, "/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"\x1b[2J", b"__init__"]
)
def test_it_only_gives(port: int, method: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert get(port, "/", method=method)[0] == 501
    said = capfd.readouterr().err
    assert "\x1b" not in said
    assert "Traceback" not in said


def test_who_goes_away_leaves_no_traceback(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        connection.close()  # with a reset
    assert get(port, "/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err
