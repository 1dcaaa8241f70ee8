"""Errors become words at this door, for verbs that load no torch (`cli/session.py` is that of a run's stages)."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from harken.cli.options import errors


@contextmanager
def in_words() -> Iterator[None]:
    """Say what went wrong, and end with 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        errors.print(f"error: {error}", highlight=False, soft_wrap=True, markup=False)
        raise typer.Exit(2) from error
