import os
import shutil
import subprocess

import pytest

from scripts.model import PipelineError
from scripts.stack import mysql_prefix
from scripts.stack.mysql_prefix import Target, UnavailableError, choose_archive, choose_package

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")


def test_archive_is_the_distributions_own():
    targets = [
        Target("http://third/", "nodistro", "main"),
        Target("http://chrome/", "stable", "main"),
        Target("http://security/", "bookworm-security", "main"),
        Target("http://other/", "bookworm", "stable"),
        Target("http://debian/", "bookworm", "main"),
    ]
    assert choose_archive(targets, "bookworm") == "http://debian/"
    assert choose_archive(targets[:1], "bookworm") is None


def test_newest_server_is_chosen():
    assert choose_package(["mysql-server-core-8.0", "mysql-server-core-8.4", "mysql-server-core-5.7-dbg"]) == (
        "mysql-server-core-8.4"
    )
    assert choose_package(["mysql-server-core-8.0", "mysql-server-core"]) == "mysql-server-core"
    assert choose_package([]) is None


def test_system_without_apt_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        mysql_prefix.provide(tmp_path / "cache")
    assert "PATH" in caught.value.hint
    assert not (tmp_path / "cache").exists()


@needs_apt
def test_no_network_leaves_nothing_behind(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    said: list[str] = []
    with pytest.raises(PipelineError, match="apt-get update") as caught:
        mysql_prefix.provide(tmp_path, said.append)
    assert not isinstance(caught.value, UnavailableError)
    assert "--database mariadb" in caught.value.hint
    assert said
    assert list(tmp_path.iterdir()) == []


@needs_apt
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_full_disk_is_named_before_anything_is_fetched(tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", tmp_path], check=False).returncode != 0:
        pytest.skip("may not mount")
    try:
        with pytest.raises(PipelineError, match=r"(15|16) MB are free"):
            mysql_prefix.provide(tmp_path)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_slower_session_keeps_what_the_quicker_one_made(tmp_path):
    made, place = tmp_path / "made", tmp_path / "place"
    for folder in (made, place):
        folder.mkdir()
        (folder / folder.name).touch()
    mysql_prefix.publish(made, place)
    assert [path.name for path in place.iterdir()] == ["place"]
    with pytest.raises(FileNotFoundError):
        mysql_prefix.publish(tmp_path / "absent", tmp_path / "elsewhere")


@pytest.mark.mysql
@needs_apt
def test_second_time_is_immediate_and_the_server_runs_with_its_own_libraries(cache):
    prefix = mysql_prefix.provide(cache)
    said: list[str] = []
    assert mysql_prefix.provide(cache, said.append) == prefix
    assert said == []
    command = mysql_prefix.server_command(prefix)
    shown = subprocess.run([*command[:3], "--list", command[3]], capture_output=True, text=True, check=True).stdout
    libraries = [line.split("=>")[1].split()[0] for line in shown.splitlines() if "=>" in line]
    assert libraries
    assert all(path.startswith(str(prefix.resolve())) for path in libraries)
