"""One process owns a store's desk, and who dies lets go at once."""

import subprocess
import sys

import pytest
from benchmarks.studio.server import start
from sqlalchemy import text

from harken.feedback.desk import owning
from harken.feedback.desk.owning import DeskLostError, DeskTakenError, own_desk
from harken.feedback.store import FeedbackStore
from harken.studio.state import open_accounts, open_studio


def test_a_second_studio_is_refused_and_may_come_when_the_first_is_gone(studio):
    with pytest.raises(DeskTakenError, match="stop that one first"):
        open_studio(studio.config)
    studio.close()
    open_studio(studio.config).close()


def test_accounts_are_kept_beside_a_studio_at_work(studio):
    with open_accounts(studio.config) as accounts:
        accounts.add("ann", "annotator")
    assert studio.accounts.named("ann").role == "annotator"


@pytest.mark.slow
def test_a_studio_that_is_killed_lets_go_at_once(studio, tmp_path):
    place, folder = studio.config.place, studio.config.folder
    studio.close()
    server = start(place, folder)
    with FeedbackStore(place) as store:
        with pytest.raises(DeskTakenError):
            own_desk(store.engine)
        command = [sys.executable, "-m", "harken.cli.main", "studio", "--folder", str(folder), "--database", place]
        told = subprocess.run([*command, "--listen", "127.0.0.1:0"], capture_output=True, text=True, check=False)
        assert (told.returncode, "stop that one first" in told.stderr) == (2, True)
        server.kill()
        own_desk(store.engine).close()


@pytest.mark.slow
def test_a_session_that_was_lost_is_begun_again_unless_another_had_the_desk(postgresql):
    with FeedbackStore(postgresql.new("owning")) as store:
        owned = own_desk(store.engine)

        def cut() -> None:
            end = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :desk")
            with store.engine.begin() as connection:
                assert connection.scalar(end, {"desk": owning.DESK})

        def wait_for(want):
            held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :desk")
            for _ in range(1000):
                with store.engine.connect() as connection:
                    if connection.scalar(held, {"desk": owning.DESK}) == want:
                        return
            raise AssertionError

        cut()
        wait_for(0)
        with owned.engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        with pytest.raises(DeskTakenError):
            own_desk(store.engine)
        cut()
        wait_for(0)
        other = own_desk(store.engine)
        with pytest.raises(DeskLostError, match="another studio"):
            owned.engine.connect()
        other.close()
        wait_for(0)
        with pytest.raises(DeskLostError, match="start this one anew"):
            owned.engine.connect()
        owned.close()
