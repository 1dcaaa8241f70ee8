"""A studio in a process of its own, on a store made for the purpose, and what its process holds."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harken.feedback.store import FeedbackStore
from harken.studio.accounts import Accounts
from harken.types import Completion, Message, Prompt, Text

READY = re.compile(rb"http://127\.0\.0\.1:(\d+)/enter#(\S+)")


def fill(place: str, prompts: int) -> None:
    """Prompts with two completions each."""
    with FeedbackStore(place) as store:
        names = [f"p{n}" for n in range(prompts)]
        store.add_prompts(Prompt(n, (Message("user", (Text(f"Say something about {n}."),)),)) for n in names)
        store.add_completions(
            Completion(f"{n}{side}", n, f"Something about {n}, {side}.", f"policy-{side}")
            for n in names
            for side in "ab"
        )


def tokens_for(place: str, names: list[str]) -> list[str]:
    """A token for each of some annotators, who are made where they are not there."""
    with FeedbackStore(place) as store:
        accounts = Accounts(store.engine)
        there = {user.name for user in accounts.all()}
        people = [accounts.named(n) if n in there else accounts.add(n, "owner") for n in names]
        return [accounts.issue(one, "token", "benchmark", ["answer", "read", "write"]) for one in people]


@dataclass
class Server:
    """A studio at work."""

    process: subprocess.Popen[bytes]
    port: int
    invite: str
    seconds: float

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.terminate()
        self.process.wait(30)

    @property
    def rss_mib(self) -> float:
        """Memory that the process has in use."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start(place: str, folder: Path, port: int = 0) -> Server:
    """Start a studio; returns when it has printed its address.

    Raises:
        RuntimeError: if it did not start.
    """
    begun = time.perf_counter()
    command = [sys.executable, "-m", "harken.cli.main", "studio", "--folder", str(folder), "--database", place]
    # Errors go to a file, which never fills up as a pipe would.
    with (folder / "studio.log").open("ab") as log:
        process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    for line in process.stdout:
        if found := READY.search(line):
            return Server(process, int(found[1]), found[2].decode(), time.perf_counter() - begun)
    process.wait()
    raise RuntimeError(f"the studio did not start; see {folder / 'studio.log'}: {(folder / 'studio.log').read_text()}")
