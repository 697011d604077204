"""The data branch: a branch that holds a history and nothing else, to which many jobs add files at the same time.

A file is added with git's plumbing on top of the remote's newest commit, so that no work tree is needed and nothing
of the local repository changes but its object database. A push that lost a race is built again on the new tip: the
files of others are never rewritten, so there is nothing to merge.
"""

from __future__ import annotations

import io
import os
import random
import re
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scripts import checkout
from scripts.model import PipelineError

ATTEMPTS = 12
"""So often a race may be lost. Of ten pushers that start together one wins each time, without any waiting."""
UNREACHABLE_ATTEMPTS = 3
"""So often a remote that does not answer is asked."""
BACKOFF_S = 0.25
BACKOFF_LIMIT_S = 15.0
COMMAND_S = 120.0
"""A git command that takes longer hangs."""
LOST_RACE = re.compile(
    r"\[rejected\]|cannot lock ref|failed to update ref|reference already exists|incorrect old value"
)
"""What git says of a push when somebody else was faster: before it was sent, or while it was being carried out."""
REFUSED = re.compile(r"\[remote rejected\].*(declined|denied|protected|prohibited|not allowed)")
"""What it says where a further attempt is of no use."""
RECORDER = {
    "AUTHOR_NAME": "github-actions[bot]",
    "AUTHOR_EMAIL": "41898282+github-actions[bot]@users.noreply.github.com",
}
"""Who commits where git knows nobody, as on a hosted runner."""


class Published(NamedTuple):
    """A file that is on the data branch: in which commit, after how many attempts."""

    commit: str
    attempts: int


class _RaceLostError(Exception):
    """Somebody else pushed in between."""


class _UnreachableError(Exception):
    """The remote did not answer; the argument is what git said."""


class DataBranch:
    """Branch ``branch`` of ``remote`` (a remote's name, an address or a path), seen from the repository ``repository``.

    ``say`` gets a line for each attempt that failed and will be repeated; ``sleep`` and ``chance`` are the clock and
    the randomness of the waits in between.
    """

    def __init__(
        self,
        repository: Path,
        remote: str,
        branch: str,
        say: Callable[[str], None] = print,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self._repository, self._remote, self._ref = repository, remote, f"refs/heads/{branch}"
        self._say, self._sleep, self._chance = say, sleep, chance or random.SystemRandom()
        checkout.need_repository(repository)
        if self._git("check-ref-format", "--branch", branch, may_fail=True).returncode:
            raise PipelineError(f"--branch {branch}: not the name of a branch", "e.g. --branch history")

    def add(self, path: PurePosixPath, data: bytes, message: str, *, again: bool = False) -> Published:
        """Commit one new file on top of the branch and push it; a branch that does not exist is begun.

        ``again``: that the branch has the file with the same content is success, as when a job is repeated.
        Raises PipelineError when the branch has the file otherwise, and when the remote cannot be reached, refuses the
        push, or is too busy.
        """
        blob = self._git("hash-object", "-w", "--stdin", stdin=data).stdout.decode().strip()
        unreachable, tip = 0, ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                tip = self._tip(known=tip)
                there = self._blob_at(tip, path)
                if there == blob and (again or attempt > 1):  # or an earlier push was carried out though it seemed not
                    return Published(tip, attempt)
                if there:
                    raise PipelineError(f"{self._remote} {self._ref}: {path} is already there", "nothing was changed")
                commit = self._commit(tip, path, blob, message)
                self._push(commit)
            except _RaceLostError:
                reason = "somebody else pushed first"
            except _UnreachableError as error:
                unreachable += 1
                reason = str(error)
                if unreachable == UNREACHABLE_ATTEMPTS:
                    raise self._unreachable(reason) from error
            else:
                return Published(commit, attempt)
            wait_s = backoff_s(attempt, self._chance)
            self._say(f"{self._remote} {self._ref}: {reason}; again in {wait_s:.1f} s")
            self._sleep(wait_s)
        raise PipelineError(
            f"{self._remote} {self._ref}: others pushed first {ATTEMPTS} times in a row", "run the same command again"
        )

    def unpack(self, folder: Path) -> str:
        """Write the branch's files, as this clone has last fetched them, into a folder; of which commit they are.

        Empty, as the folder is then, where the remote has no such branch: nothing has been recorded yet. The remote is
        not asked, as a workflow's clone need not hold credentials for that. Raises PipelineError in a shallow clone,
        which does not know of all branches.
        """
        if self._is_shallow():
            raise PipelineError(
                f"{self._repository}: a shallow clone does not know whether {self._remote} has {self._ref}",
                f"git fetch --unshallow {self._remote}; in a workflow check out with `fetch-depth: 0`",
            )
        ref = f"refs/remotes/{self._remote}/{self._ref.removeprefix('refs/heads/')}^{{commit}}"
        commit = self._git("rev-parse", "--verify", "--quiet", ref, may_fail=True).stdout.decode().strip()
        folder.mkdir(parents=True, exist_ok=True)
        if commit:
            with tarfile.open(fileobj=io.BytesIO(self._git("archive", "--format=tar", commit).stdout)) as archive:
                archive.extractall(folder, filter="data")
        return commit

    def _is_shallow(self) -> bool:
        return self._git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"

    def _tip(self, known: str) -> str:
        """The remote branch's newest commit, fetched; empty where there is no such branch.

        ``known`` is an earlier one, so that a further attempt fetches only what is new.
        """
        answer = self._ask("ls-remote", "--", self._remote, self._ref)
        listed = {ref: commit for commit, ref in (line.split("\t") for line in answer.splitlines())}
        if self._ref not in listed:
            return ""
        tip = listed[self._ref]
        # No ref is written: several jobs may do this in one clone. A shallow clone (a runner's) stays shallow, and
        # gets the names of the other files without their contents.
        less = ["--depth=1", "--filter=blob:none"] if self._is_shallow() else []
        less += [f"--negotiation-tip={known}"] if known else []
        self._ask(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", *less, "--", self._remote, self._ref
        )
        if self._git("cat-file", "-e", tip, may_fail=True).returncode:
            raise _RaceLostError  # the branch moved between the two commands, and only its new tip was fetched
        return tip

    def _blob_at(self, commit: str, path: PurePosixPath) -> str:
        """The object at a path of a commit; empty where there is none."""
        if not commit:
            return ""
        found = self._git("rev-parse", "--verify", "--quiet", f"{commit}:{path}", may_fail=True)
        return found.stdout.decode().strip()

    def _commit(self, tip: str, path: PurePosixPath, blob: str, message: str) -> str:
        """A commit of the tip's files and one more."""
        with tempfile.TemporaryDirectory(prefix="record-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if tip:
                self._git("read-tree", tip, environment=index)
            self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environment=index)
            tree = self._git("write-tree", "--missing-ok", environment=index).stdout.decode().strip()
        parent = ["-p", tip] if tip else []
        made = self._git("commit-tree", tree, *parent, "-m", message, environment=self._identity())
        return made.stdout.decode().strip()

    def _push(self, commit: str) -> None:
        done = self._git(
            "push", "--porcelain", "--no-verify", "--", self._remote, f"{commit}:{self._ref}", may_fail=True
        )
        if done.returncode == 0:
            return
        said = (done.stdout + done.stderr).decode(errors="replace")
        if LOST_RACE.search(said):
            raise _RaceLostError
        if REFUSED.search(said):
            raise PipelineError(
                f"{self._remote} {self._ref}: the push was refused: {checkout.reason(said)}",
                "see the branch's rules: whoever records must be allowed to push to it",
            )
        raise _UnreachableError(checkout.reason(said))

    def _ask(self, *arguments: str) -> str:
        """The answer of a command that talks to the remote."""
        done = self._git(*arguments, may_fail=True)
        if done.returncode:
            raise _UnreachableError(checkout.reason(done.stderr.decode(errors="replace")))
        return done.stdout.decode()

    def _unreachable(self, reason: str) -> PipelineError:
        names = self._git("remote").stdout.decode().split()
        return PipelineError(
            f"{self._remote}: cannot be reached: {reason}",
            f"see that the network works, that `git ls-remote {self._remote}` does, and that you may push there; "
            f"--remote takes {', '.join(names) or 'an address (this clone has no remote)'}; "
            "without --push the run is recorded in this clone alone",
        )

    def _identity(self) -> dict[str, str]:
        """What `git commit-tree` needs beside git's own configuration."""
        if self._git("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT", may_fail=True).returncode == 0:
            return {}
        roles = ("AUTHOR", "COMMITTER")
        return {f"GIT_{key.replace('AUTHOR', role)}": value for role in roles for key, value in RECORDER.items()}

    def _git(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None, may_fail: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git in the repository; it never asks anything, and speaks English, which `LOST_RACE` is."""
        quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                ["git", "-C", str(self._repository), "-c", "gc.auto=0", *arguments],
                input=stdin,
                capture_output=True,
                env={**os.environ, **quiet, **(environment or {})},
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _UnreachableError(f"`git {arguments[0]}` took more than {COMMAND_S:.0f} s") from error
        if done.returncode and not may_fail:
            said = done.stderr.decode(errors="replace")
            raise PipelineError(
                f"git {arguments[0]}: {checkout.reason(said)}", f"see that {self._repository} is writable"
            )
        return done


def backoff_s(attempt: int, chance: random.Random) -> float:
    """Seconds to wait after the given attempt: exponential with full jitter (Brooker 2015, AWS Architecture Blog)."""
    return chance.uniform(0, min(BACKOFF_LIMIT_S, BACKOFF_S * 2**attempt))
