"""A small store; that this file is here also lets the tests of this room import `said`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from said import COMPLETIONS, PROMPTS

from harken.feedback.store import FeedbackStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "feedback.db") as opened:
        opened.add_prompts(PROMPTS)
        opened.add_completions(COMPLETIONS)
        yield opened
