"""What others wrote is what they wrote: every file of site/vendor/ has the checksum that is noted for it."""

import hashlib

from scripts.templates import SITE

VENDOR = SITE / "vendor"
OURS = {"README.md", "SHA256SUMS"}


def test_vendored_files_are_unchanged():
    lines = (VENDOR / "SHA256SUMS").read_text().splitlines()
    noted = {name: digest for digest, name in map(str.split, lines)}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    assert {name: digest for name, digest in there.items() if name not in OURS} == noted


def test_each_has_its_licence_and_is_named():
    libraries = {path.name.split(".")[0] for path in VENDOR.iterdir() if path.name not in OURS}
    table = (VENDOR / "README.md").read_text()
    for library in libraries:
        assert "Permission is hereby granted" in (VENDOR / f"{library}.LICENSE").read_text()
        assert f"`{library}.*`" in table


def test_one_module_uses_the_library():
    users = [path.name for path in (SITE / "static").glob("*.js") if "uPlot" in path.read_text()]
    assert users == ["chart.js"]
