"""Somebody who asked to be forgotten is in no table and in no byte; who else is there, and the counts, stay."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from test_answering import make, say, take

from harken.feedback.database import StoreError
from harken.feedback.schema import metadata
from harken.feedback.store import FeedbackStore
from harken.studio.state import open_studio
from harken.studio.webhooks import _keep

NAME = "Ada-Lovelace-1815"
WORDS = "a comment that only she would write"


def bytes_of(studio) -> bytes:
    found = b"".join(path.read_bytes() for path in studio.config.folder.glob("feedback.db*"))
    with FeedbackStore(studio.config.place) as store, store.reading() as connection:
        return found + repr([connection.execute(select(t)).all() for t in metadata.sorted_tables]).encode()


def test_all_that_the_studio_knows_of_somebody_goes(people):
    slug = make(people, overlap=2, annotators=[NAME, "bob"])
    people.studio.accounts.add(NAME, "annotator", "correct horse battery")
    studio, ada, bob = people.studio, people.client(NAME), people.client("bob")
    [first, second] = take(ada, slug, 2)
    assert say(ada, first["key"], {"choice": "tie"}, remarks={"comment": WORDS})["status"] == "kept"
    [other] = take(bob, slug, 1)
    assert say(bob, other["key"], {"choice": "tie"})["status"] == "kept"
    body = json.dumps({"type": "answer.created", "data": {"annotator": NAME}})
    with studio.store.engine.execution_options(writes=True).begin() as connection:
        hook = {"id": 1, "url": "http://x", "secret": "x", "events": [], "active": True}
        connection.execute(metadata.tables["webhooks"].insert(), {**hook, "created_at": datetime.now(UTC)})
        _keep(connection, [([1], body)])
    left, counts = studio.desk.left(1), studio.store.counts()
    studio.close()
    assert NAME.encode() in bytes_of(studio)
    with FeedbackStore(studio.config.place) as store:
        done = store.forget(NAME)
        assert done.cleaned
        assert store.counts() == counts
    assert done.rows["turns"] == 2
    assert {done.rows[name] for name in ("remarks", "users", "projects", "deliveries")} == {1}
    after = bytes_of(studio)
    for trace in (NAME, WORDS, first["key"], second["key"]):
        assert trace.encode() not in after
    again = open_studio(studio.config)
    assert again.desk.left(1) == left
    assert [user.name for user in again.accounts.all()] == ["bob", "olga"]
    assert again.projects[slug].settings.annotators == (done.pseudonym, "bob")
    again.close()


def test_who_only_had_an_account_is_forgotten_too_and_who_is_unknown_is_told(people):
    people.studio.accounts.add(NAME, "annotator")
    assert people.studio.store.forget(NAME).rows["users"] == 1
    with pytest.raises(StoreError, match="no annotator"):
        people.studio.store.forget(NAME)


@pytest.mark.slow
def test_beside_a_studio_at_work_it_is_refused_in_words(people):
    people.studio.accounts.add(NAME, "annotator")
    command = [
        sys.executable,
        "-m",
        "harken.cli.main",
        "feedback",
        "forget",
        NAME,
        "--store",
        people.studio.config.place,
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "stop that one first" in told.stderr
    people.studio.close()
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "users 1" in told.stdout
