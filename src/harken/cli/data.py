"""`harken data`: feedback that was collected elsewhere comes in. Loads no torch, so that it begins at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from harken.cli.options import errors
from harken.cli.words import in_words
from harken.feedback.exchange.load import Imported, Stopped, import_data
from harken.feedback.exchange.mapping import find_mapping, shipped

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console()
LISTED = 20

NAME = typer.Argument(
    ...,
    metavar="NAME",
    help="A mapping that harken has (below), or the file of your own: mine.yaml",
    show_default=False,
)
DATA = typer.Argument(
    ..., metavar="PATH", help="The folder that the data lie in; nothing outside is read", show_default=False
)
OUT = typer.Option(
    None,
    "--out",
    help="The folder that receives feedback.db, blobs/ and prompts.jsonl; runs/NAME if not said.",
    show_default=False,
)
LIMIT = typer.Option(None, "--limit", min=1, help="Read so many records at most: a try.", show_default=False)
SKIP_BAD = typer.Option(False, "--skip-bad", help="Leave bad records out; counts and lists them.")


@app.callback(help="Feedback that was collected elsewhere: bring it in.")
def data() -> None:
    """A group, also with one command."""


def _names() -> str:
    listed = "\n\n".join(f"[bold]{name}[/bold]: {about}." for name, about in shipped().items())
    return f"Mappings that harken has:\n\n{listed}\n\nA mapping of your own: docs/import.md."


@app.command(
    "import",
    help="Bring a data set of people's feedback in: prompts with their pictures and sounds, completions, and answers. "
    "A mapping, a YAML file, says how the files are read. Doing it twice adds nothing; several data sets may go into "
    "one folder.\n\n"
    "harken data import nlvr ../shared/data/nlvr --limit 100\n\n"
    "harken data import mine.yaml my-folder --out runs/mine --skip-bad",
    epilog=_names(),
    rich_help_panel=None,
)
def import_(
    name: str = NAME, path: Path = DATA, out: Path | None = OUT, limit: int | None = LIMIT, skip_bad: bool = SKIP_BAD
) -> None:
    """Read, store, and say in a line what came in."""
    with _words(), _Bar() as bar:
        mapping = find_mapping(name)
        done = import_data(mapping, path, out or Path("runs") / mapping.name, limit, skip_bad, bar)
    console.print(summary(mapping.name, done), highlight=False, soft_wrap=True, markup=False)
    for notice in done.notices:
        errors.print(f"note: {notice}", highlight=False, soft_wrap=True, markup=False)
    for why in done.skipped[:LISTED]:
        errors.print(f"skipped: {why}", highlight=False, soft_wrap=True, markup=False)
    if len(done.skipped) > LISTED:
        errors.print(f"skipped: and {len(done.skipped) - LISTED} more", highlight=False)


def summary(name: str, done: Imported) -> str:
    """What came in, in one line."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(done.answers.items()))
    total = sum(done.answers.values())
    crowd = f", of {done.people} people" if done.people != total else ""
    media = ", ".join(f"{kind} {count}" for kind, count in sorted(done.media.items())) or "none"
    new = "all new" if done.new == (done.prompts, done.completions, total) else "new {}, {} and {}".format(*done.new)
    return (
        f"{name}: {done.prompts} prompts, {done.completions} completions, {total} answers ({kinds or 'none'}{crowd}); "
        f"{new}; annotators {done.annotators}; media: {media}; skipped {len(done.skipped)} of {done.records} records"
    )


class _Bar:
    """What is being done, and how much of it is done; drawn at a terminal only."""

    def __init__(self) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed:,.0f}"),
            TimeElapsedColumn(),
            console=errors,
            disable=not errors.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._stopped = False

    def __enter__(self) -> "_Bar":
        self._before = signal.signal(signal.SIGINT, self._stop)
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()
        signal.signal(signal.SIGINT, self._before)

    def __call__(self, step: str, done: int) -> bool:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=None)
        self._bars.update(self._tasks[step], completed=done)
        return self._stopped

    def _stop(self, *signal_: object) -> None:
        """Stop between two records; at the second time at once, also while the store is written."""
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True


@contextmanager
def _words() -> Iterator[None]:
    """As `in_words`, and what a stopped import leaves."""
    try:
        with in_words():
            yield
    except Stopped as stopped:
        errors.print("stopped; nothing was added to the store: the same command begins again")
        raise typer.Exit(130) from stopped
    except KeyboardInterrupt as stopped:
        errors.print("stopped at once; what is in the store is whole: the same command goes on")
        raise typer.Exit(130) from stopped
    except SQLAlchemyError as error:
        errors.print(f"error: the store cannot be written: {error}", highlight=False, soft_wrap=True, markup=False)
        raise typer.Exit(2) from error
