"""What this machine is: the part of the environment that is read from it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple


class MachineFacts(NamedTuple):
    """Facts that tell machines apart; jitter such as host names and addresses is left out on purpose."""

    cpu_model: str
    cpu_count: int
    memory_mb: int
    kernel: str
    os: str
    virtualization: str
    runner_image: str


def read_machine() -> MachineFacts:
    """Read them from /proc, /etc/os-release, systemd-detect-virt(1) and a hosted runner's variables."""
    runner = [os.environ[key] for key in ("ImageOS", "ImageVersion") if key in os.environ]
    return MachineFacts(
        cpu_model=parse_cpu_model(Path("/proc/cpuinfo").read_text()),
        cpu_count=len(os.sched_getaffinity(0)),
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024),
        kernel=platform.release(),
        os=_os_name(),
        virtualization=_virtualization(),
        runner_image=" ".join(runner),
    )


def parse_cpu_model(cpuinfo: str) -> str:
    """The CPU's name from /proc/cpuinfo; on ARM, where there is none, its implementer and part."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    if found:
        return " ".join(found[1].split())
    parts = [re.search(rf"^CPU {key}\s*:\s*(.+)$", cpuinfo, re.MULTILINE) for key in ("implementer", "part")]
    return " ".join(part[1] for part in parts if part) or platform.machine()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _virtualization() -> str:
    if shutil.which("systemd-detect-virt") is None:
        return "unknown"
    answer = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
