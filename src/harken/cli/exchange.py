"""The commands of `harken feedback` that move feedback: import, export, forget, backup. They load no torch."""

from pathlib import Path

import typer
from rich.console import Console

from harken.cli.options import errors
from harken.cli.words import in_words
from harken.data.blobs import Blobs
from harken.feedback.backup import backup as copy_store
from harken.feedback.desk.owning import own_desk
from harken.feedback.exchange.door import FORMATS, export_file, find_place, import_file, there
from harken.feedback.store import FeedbackStore

console = Console()
LISTED = 20

PLACE = "a run's folder, a feedback.db, or postgresql://..."
FORMAT = typer.Option(..., "--format", help=f"One of {', '.join(FORMATS)}; docs/exchange.md tells what each holds.")
STORE = typer.Argument(..., metavar="STORE", help=f"The feedback: {PLACE}", show_default=False)
FROM = typer.Option(..., "--store", metavar="STORE", help=f"The feedback: {PLACE}", show_default=False)
INTO = typer.Option(..., "--into", metavar="STORE", help=f"What receives it: {PLACE}", show_default=False)
OUT = typer.Option(..., "--out", help="The file that is written, or a folder for it.")
FILE = typer.Argument(..., metavar="FILE", help="The file that is read.", show_default=False)
COPY = typer.Argument(..., metavar="FILE", help="The copy; it must not be there yet.", show_default=False)
NAME = typer.Argument(..., metavar="NAME", help="The annotator's id, exactly.", show_default=False)
LEVELS = typer.Option(5, "--levels", min=2, help="Levels of ratings, where the format does not tell.")
BLOBS = typer.Option(None, "--blobs", help="The folder of media; blobs/ beside the store if not said.")
WITH_BLOBS = typer.Option(False, "--blobs", help="Copy the media too, into blobs/ beside the copy.")


def export(name: str = FORMAT, out: Path = OUT, store: str = STORE, blobs: Path | None = BLOBS) -> None:
    """Write feedback into a file that other programs read.

    harken feedback export --format trl --out pairs.parquet runs/demo
    """
    with in_words():
        file, tally = export_file(name, there(find_place(store, blobs)), out)
    _say(f"{file}: {tally.records} records of {tally.answers} answers")
    for what, count in sorted(tally.left.items()):
        errors.print(f"not held by {name}: {count} {what}", highlight=False, soft_wrap=True, markup=False)


def import_(
    file: Path = FILE, name: str = FORMAT, into: str = INTO, levels: int = LEVELS, blobs: Path | None = BLOBS
) -> None:
    """Bring feedback of such a file in. Doing it twice adds nothing.

    harken feedback import tasks.json --format label_studio --into runs/team
    """
    with in_words():
        done = import_file(name, file, find_place(into, blobs), levels)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(done.answers.items())) or "none"
    new = "new {}, {} and {}".format(*done.new)
    _say(
        f"{file}: {done.prompts} prompts, {done.completions} completions, {sum(done.answers.values())} answers "
        f"({kinds}); {new}; skipped {len(done.skipped)}"
    )
    lines = [f"skipped: {why}" for why in done.skipped]
    lines += [f"the store holds another answer under the key {key!r}, and keeps it" for key in done.differing]
    for line in lines[:LISTED]:
        errors.print(line, highlight=False, soft_wrap=True, markup=False)
    if len(lines) > LISTED:
        errors.print(f"and {len(lines) - LISTED} more", highlight=False)


def forget(name: str = NAME, store: str = FROM) -> None:
    """Remove who somebody was, at their request: their name becomes a random one everywhere in the store.

    Their comments, their account and its sessions go. What was exported or backed up before is not reached. A studio
    on this store has to be stopped first, since it remembers names.

    harken feedback forget ada --store runs/team
    """
    with in_words(), FeedbackStore(there(find_place(store, Path())).store) as opened:
        owned = own_desk(opened.engine)
        try:
            done = opened.forget(name)
        finally:
            owned.close()
    rows = ", ".join(f"{table} {count}" for table, count in done.rows.items())
    _say(f"forgotten: now {done.pseudonym}; rows changed: {rows}")
    _say("exports and backups made before are not reached: delete them, or make them again")
    if not done.cleaned:
        errors.print(
            "the database was in use, so old bytes may still lie in its file; close the programs that use it, and run "
            f"sqlite3 FILE 'VACUUM; PRAGMA wal_checkpoint(TRUNCATE)' on {store}",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)


def backup(file: Path = COPY, store: str = FROM, with_blobs: bool = WITH_BLOBS) -> None:
    """Copy a store while others write to it: one moment, whole.

    harken feedback backup backups/monday.db --store runs/team --blobs
    """
    with in_words():
        place = find_place(store, Path() if "://" in store else None)
        done = copy_store(place.store, file, Blobs(place.blobs) if with_blobs else None)
    rows = ", ".join(f"{table} {count}" for table, count in done.rows.items())
    _say(f"{file}: {rows}; media {done.media if with_blobs else 'not copied (--blobs)'}")


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)
