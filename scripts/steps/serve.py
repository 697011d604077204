"""Verb ``serve``: the site in a browser, made again when anything changes."""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from scripts import config
from scripts.model import PipelineError

EPILOG = """\
examples:
  nox -s serve                             build _site/, show it at http://127.0.0.1:8700/
  nox -s serve -- --port 0                 at any free port
  nox -s serve -- --history ../data        what comes after is for build_site: nox -s build_site -- --help

The site is made again when the history, site/, scripts/ or bench.toml change; reload the page then. Ctrl-C ends it.
"""
EVERY_S = 1.0
HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?", re.IGNORECASE)
Refusal = tuple[HTTPStatus, str]
OUTSIDE: Refusal = (HTTPStatus.FORBIDDEN, "That leads out of the site")
Stamps = Mapping[Path, tuple[int, int]]


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C. A site that cannot be built is said, and tried again after the next change."""
    parser = argparse.ArgumentParser(
        prog="nox -s serve --",
        description="Show the site locally and make it again when anything changes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--port", type=int, default=8700, help="of 127.0.0.1 (default: %(default)s; 0: any free one)")
    parser.add_argument("--output", type=Path, default=Path("_site"), metavar="FOLDER", help="(default: %(default)s)")
    parser.add_argument("--history", action="append", type=Path, metavar="FOLDER", help="several are read as one")
    args, rest = parser.parse_known_args(arguments)
    config.refuse_elsewhere("the site", config.NOT_DATED)
    roots: list[Path] = args.history or [config.PROJECT / "history"]
    command = [sys.executable, "-m", "scripts", "build_site", "--output", str(args.output), *rest]
    for root in roots:
        command += ["--history", str(root)]
    watched = [*roots, *(config.ROOT / name for name in ("site", "scripts", "bench.toml"))]
    before = stamps(watched)
    if subprocess.run(command, check=False).returncode and not (args.output / "index.html").exists():
        raise PipelineError("the site cannot be built", "what is wrong stands above")
    with start(args.output, args.port) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            follow(command, watched, before, threading.Event())
        except KeyboardInterrupt:
            server.shutdown()
            print()
    return 0


class Handler(SimpleHTTPRequestHandler):
    """Files of the site, always as they are now; only what is not there is logged.

    Any page of the Internet can make a browser ask here, also under a name of its own that leads to this machine, so
    only who asks for this machine by its own name is answered; and only with what lies in the folder.
    """

    timeout = 30  # seconds without a byte; a browser's idle connections would keep their threads for ever

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        port: int = self.server.server_address[1]  # type: ignore[index,assignment]
        refused = refusal(self.headers.get_all("Host", []), self.path, port) or self._outside()
        if refused:
            self.send_error(*refused)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        """A folder without a page is nothing that the site has."""
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")

    def _outside(self) -> Refusal | None:
        """What is there but is no file or folder within the site: a link that leads out of it, a pipe, a device."""
        root, asked = os.path.realpath(self.directory), self.translate_path(self.path)
        for path in (asked, f"{asked}/index.html", f"{asked}/index.htm"):
            real = os.path.realpath(path)
            kind = os.path.isfile(real) or os.path.isdir(real)  # noqa: PTH112, PTH113 (pathlib's raise for a long name)
            if os.path.lexists(path) and not (kind and os.path.commonpath((root, real)) == root):
                return OUTSIDE
        return None

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if int(code) >= 400:
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    """One that takes it as it is that a browser goes away in the middle."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def refusal(hosts: Sequence[str], target: str, port: int) -> Refusal | None:
    """Why a request is not looked at; None for one that is. ``hosts``: its headers of that name (RFC 9110, 7.2)."""
    if len(hosts) != 1:
        return HTTPStatus.BAD_REQUEST, "One Host header is needed"
    host = HOST.fullmatch(hosts[0].strip())
    if not host or host[1] not in (None, str(port)):
        return HTTPStatus.MISDIRECTED_REQUEST, f"This is http://127.0.0.1:{port}/"
    try:
        path = unquote(re.split(r"[?#]", target, maxsplit=1)[0], errors="strict")
    except UnicodeDecodeError:
        return HTTPStatus.BAD_REQUEST, "The path is not UTF-8"
    if not path.startswith("/") or "\\" in path or not path.isprintable():
        return HTTPStatus.BAD_REQUEST, "The path is not one of a site"
    return OUTSIDE if ".." in path.split("/") else None


def start(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of the folder that only this machine reaches. Raises PipelineError where the port is taken."""
    try:
        return Server(("127.0.0.1", port), partial(Handler, directory=str(folder)))
    except OSError as error:
        raise PipelineError(f"port {port}: {error.strerror}", "choose another with --port, or --port 0") from error


def follow(command: Sequence[str], watched: Iterable[Path], before: Stamps, end: threading.Event) -> None:
    """Run the command whenever a watched file came, went or changed, until ``end`` is set."""
    paths = list(watched)
    while not end.wait(EVERY_S):
        now = stamps(paths)
        if now != before:
            before = now
            subprocess.run(command, check=False)


def stamps(watched: Iterable[Path]) -> Stamps:
    """Size and time of change of every file."""
    found: dict[Path, Any] = {}
    for top in watched:
        for path in (top, *top.rglob("*")) if top.is_dir() else (top,):
            try:
                status = path.stat()
            except OSError:  # it has just gone
                continue
            if path.is_file() and path.suffix != ".pyc":
                found[path] = (status.st_size, status.st_mtime_ns)
    return found
