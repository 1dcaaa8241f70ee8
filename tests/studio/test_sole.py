"""A store has one studio at work; a second one is refused, and may come when the first is gone, however it went."""

import pytest
from benchmarks.studio.server import start

from harken.feedback.database import StoreError
from harken.feedback.store import FeedbackStore
from harken.studio.sole import sole


def test_a_store_is_owned_once_at_a_time(tmp_path):
    with FeedbackStore(tmp_path / "feedback.db") as one, FeedbackStore(tmp_path / "feedback.db") as other:
        with sole(one.engine), pytest.raises(StoreError, match="another studio serves this store"), sole(other.engine):
            raise AssertionError("owned twice")
        with sole(other.engine):
            pass


@pytest.mark.slow
def test_a_second_studio_is_refused_until_the_first_is_killed(tmp_path):
    place = str(tmp_path / "feedback.db")
    first = start(place, tmp_path)
    with pytest.raises(RuntimeError, match="another studio serves this store"):
        start(place, tmp_path)
    first.kill()
    start(place, tmp_path).stop()
