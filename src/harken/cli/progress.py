"""A bar for every stage, drawn by rich; plain lines where there is no terminal."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from harken.pipeline.run import Progress

QUIET_SECONDS = 10.0


class Bars(Progress):
    """Progress of a run on a console.

    Args:
        console: where to draw.
        interactive: stages ask the person at the terminal, so no bar may move while they do.
    """

    def __init__(self, console: Console, interactive: bool = False):
        self.console = console
        self._live = console.is_terminal
        self._interactive = interactive
        self._bars = RichProgress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._spoken: dict[str, float] = {}

    def __enter__(self) -> "Bars":
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stage(self, name: str, state: str) -> None:
        """Show that a stage begins, ended, or has nothing to do."""
        asks = self._interactive and name.endswith("feedback")
        if self._live and asks:
            # The person's terminal is theirs while they are asked.
            self._bars.stop() if state == "running" else self._bars.start()
            return
        if not self._live:
            self.console.print(f"{name}: {state}", highlight=False)
        elif state == "current":
            self._bars.update(self._task(name), total=1, completed=1, note="already there")
        elif state == "running":
            self._task(name)
        else:
            task = self._bars.tasks[self._task(name)]
            self._bars.update(task.id, total=task.total or 1, completed=task.total or 1)

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None, note="")
        return self._tasks[name]

    def advance(self, name: str, done: int, total: int, note: str = "") -> None:
        """Move a stage's bar."""
        if self._interactive and name.endswith("feedback"):
            return
        if self._live:
            self._bars.update(self._task(name), completed=done, total=total, note=note)
        elif time.monotonic() - self._spoken.get(name, 0) > QUIET_SECONDS:
            self._spoken[name] = time.monotonic()
            self.console.print(f"{name}: {done}/{total} {note}", highlight=False)

    def say(self, text: str) -> None:
        """Print a line; bars stay below it."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
