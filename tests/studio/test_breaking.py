"""What goes wrong around a studio: a full disk, a database that goes away, a clock that goes back, many at once."""

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest
import uvicorn
from benchmarks.studio.load import Told, run
from benchmarks.studio.postgres import cluster
from sqlalchemy import event, text
from starlette.testclient import TestClient
from test_answering import make, say, take

from harken.feedback.desk.keeping import add_items, add_project, write_turns
from harken.feedback.desk.planning import plan_items
from harken.feedback.desk.settings import ProjectSettings
from harken.feedback.store import FeedbackStore
from harken.studio import accounts as accounts_of
from harken.studio.accounts import Accounts
from harken.studio.app import make_app
from harken.studio.serving import server_config
from harken.studio.state import open_studio

pytestmark = pytest.mark.slow


def send(client, key, said):
    return client.post("/api/v1/answers", json={"answers": [{"key": key, "said": said, "seconds": 2.0}]})


@contextmanager
def no_room(engine):
    """The writer's database may not grow by a page."""

    @event.listens_for(engine, "begin")
    def _limit(connection):
        connection.exec_driver_sql("PRAGMA max_page_count=1")

    yield
    event.remove(engine, "begin", _limit)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000000")


@pytest.mark.parametrize("database", [""])
def test_what_finds_no_room_is_not_acknowledged_and_comes_when_there_is_some(people):
    slug, ann = make(people), people.client("ann")
    items = take(ann, slug, 50, tab="t")
    studio = people.studio
    told = []
    with no_room(studio.store.engine):
        # A page has room for some; then none has.
        for item in items:
            told.append(send(ann, item["key"], {"choice": "tie"}))
    kept = [item["key"] for item, one in zip(items, told, strict=True) if one.status_code == 200]
    full = [one for one in told if one.status_code != 200]
    assert full
    assert {one.status_code for one in full} == {507}
    assert "disk is full" in full[0].json()["error"]
    assert int(full[0].headers["retry-after"]) > 0
    assert [answer.key for answer in studio.store.answers()] == kept
    for item in items:
        assert send(ann, item["key"], {"choice": "tie"}).status_code == 200
    assert sorted(answer.key for answer in studio.store.answers()) == sorted(item["key"] for item in items)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("database", [""])
def test_a_real_full_disk(studio, people, tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing may be mounted here: {mounted.stderr.decode()}")
    try:
        studio.close()
        for path in studio.config.folder.glob("feedback.db*"):
            (place / path.name).write_bytes(path.read_bytes())
        people.__init__(open_studio(replace(studio.config, database=str(place / "feedback.db"))))
        slug, ann = make(people), people.client("ann")
        items = take(ann, slug, 20)
        filler = place / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        told = [send(ann, item["key"], {"choice": "tie"}) for item in items]
        acknowledged = [i["key"] for i, one in zip(items, told, strict=True) if one.status_code == 200]
        assert {one.status_code for one in told} <= {200, 507}
        assert told[-1].status_code == 507
        filler.unlink()
        assert [answer.key for answer in people.studio.store.answers()] == acknowledged
        again = [send(ann, item["key"], {"choice": "tie"}).json()["results"][0]["status"] for item in items]
        assert Counter(again) == Counter(there=len(acknowledged), kept=len(items) - len(acknowledged))
        with people.studio.store.reading() as connection:
            assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    finally:
        people.studio.close()
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("database", [""])
def test_a_database_that_goes_away_and_comes_back(studio, people, filling):
    studio.close()
    with cluster() as server:
        opened = open_studio(replace(studio.config, database=server.url()))
        filling(opened)
        people.__init__(opened)
        slug, ann = make(people), people.client("ann")
        first, second, third, fourth = take(ann, slug, 4)
        assert say(ann, first["key"], {"choice": "tie"})["status"] == "kept"
        server.stop()
        told = [send(ann, second["key"], {"choice": "tie"}) for _ in range(2)]
        told += [ann.get("/api/v1/projects/one/mine"), ann.get("/dashboard"), ann.get("/api/v1/me")]
        time.sleep(accounts_of.SETTLED)
        told.append(ann.get("/api/v1/me"))
        assert {one.status_code for one in told} <= {503, 403, 200}
        away = [one for one in told if one.status_code == 503]
        assert len(away) >= 4
        assert all("does not answer" in one.json()["error"] and one.headers["retry-after"] for one in away)
        server.start()
        assert say(ann, second["key"], {"choice": "tie"})["status"] == "kept"
        # The writer's own process on the server dies: PostgreSQL ends all others too and recovers.
        with opened.owned.engine.connect() as connection:
            number = connection.scalar(text("SELECT pg_backend_pid()"))
        os.kill(number, 9)
        statuses = []
        for _ in range(100):
            statuses.append(send(ann, third["key"], {"choice": "tie"}).status_code)
            if statuses[-1] == 200:
                break
            time.sleep(0.1)
        assert set(statuses) <= {200, 503}
        assert statuses[-1] == 200
        assert say(ann, fourth["key"], {"choice": "tie"})["status"] == "kept"
        kept = [answer.key for answer in opened.store.answers()]
        assert kept == [first["key"], second["key"], third["key"], fourth["key"]]
        opened.close()


@pytest.mark.parametrize("by", [-3600.0, 3600.0, -1e6])
@pytest.mark.parametrize("database", [""])
def test_a_clock_that_is_set_makes_no_lease_eternal_and_loses_none(people, monkeypatch, by):
    slug, ann, bob = make(people, lease_seconds=60), people.client("ann"), people.client("bob")
    items = take(ann, slug, 50)
    studio, real = people.studio, time.time
    monkeypatch.setattr(time, "time", lambda: real() + by)
    # While it runs: who has an item keeps it, and can answer.
    assert take(bob, slug, 50) == []
    assert say(ann, items[0]["key"], {"choice": "tie"})["status"] == "kept"
    studio.close()
    again = open_studio(studio.config)
    now = time.monotonic()
    assert all(t.until <= now + 60 for t in again.desk.turns.values() if t.ended is None)
    assert again.desk.give(1, "bob", "b", set(), 50, now + 61)[0]
    # What somebody did late counts all the same.
    assert again.desk.turns[items[1]["key"]].annotator == "ann"
    again.close()


def test_two_windows_of_one_person_get_different_items_and_one_window_its_own_again(people):
    slug, ann = make(people), people.client("ann")
    one, other = take(ann, slug, 5, tab="one"), take(ann, slug, 5, tab="two")
    assert not {i["key"] for i in one} & {i["key"] for i in other}
    assert {i["key"] for i in take(ann, slug, 5, tab="one")} == {i["key"] for i in one}
    assert take(ann, slug, 5, tab="one", holding=[i["key"] for i in one]) == []
    # The same item in two windows (one was doubled): the first word stays, and the second window is told.
    assert say(ann, one[0]["key"], {"choice": "tie"})["status"] == "kept"
    assert say(ann, one[0]["key"], {"choice": "both_bad"})["status"] == "other"


def test_a_window_that_asks_while_its_answer_is_on_its_way_does_not_open_the_item_again(people):
    slug, ann = make(people), people.client("ann")
    [item] = take(ann, slug, 1)
    studio = people.studio
    turn = studio.desk.turns[item["key"]]
    before = replace(turn)
    assert say(ann, item["key"], {"choice": "tie"})["status"] == "kept"
    studio.writer.submit(write_turns, [before]).result()
    studio.close()
    again = open_studio(studio.config)
    assert again.desk.turns[item["key"]].ended == "answered"
    again.close()


@pytest.mark.slow
def test_fifty_annotators_on_twenty_items_of_overlap_three_over_http(studio):
    studio.close()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        opened = open_studio(replace(studio.config, port=port))
        settings = ProjectSettings("Many", overlap=3)
        with opened.store.engine.execution_options(writes=True).begin() as connection:
            project = add_project(connection, "many", settings)
            assert add_items(connection, project, plan_items(connection, settings, {"comparison": 20}, 0)) == 20
        opened.refresh(project)
        people = [opened.accounts.add(f"ann{n}", "annotator") for n in range(50)]
        tokens = [opened.accounts.issue(one, "token", "test", ["answer"]) for one in people]
        server = uvicorn.Server(server_config(make_app(opened), False))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        # Until nobody finds anything: clients take five at a time, more than would be left for all.
        told = Told()
        while opened.desk.left(project.id):
            asyncio.run(run(port, tokens, "many", 30.0, told))
        server.should_exit = True
        thread.join()
    with FeedbackStore(studio.config.place) as store:
        answers = store.answers()
    assert sorted(told.kept) == sorted(answer.key for answer in answers)
    pairs = [frozenset((a.feedback.a, a.feedback.b)) for a in answers]
    assert (len(set(pairs)), set(Counter(pairs).values())) == (20, {3})
    assert len({(pair, a.annotator) for pair, a in zip(pairs, answers, strict=True)}) == 60


def test_who_is_removed_is_out_at_once_and_soon_where_another_process_removed_them(people, monkeypatch):
    ann, bob = people.client("ann"), people.client("bob")
    olga = people.client("olga", "owner")
    assert ann.get("/api/v1/me").status_code == bob.get("/api/v1/me").status_code == 200
    assert olga.delete("/api/v1/users/ann").status_code == 200
    assert ann.get("/api/v1/me").status_code == 401
    Accounts(people.studio.store.engine).remove("bob")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + accounts_of.SETTLED + 0.01)
    assert bob.get("/api/v1/me").status_code == 401


def test_a_role_that_is_taken_away_counts_at_once_and_a_session_ends_in_time(people, monkeypatch):
    rita, olga = people.client("rita", "reviewer"), people.client("olga", "owner")
    assert rita.get("/api/v1/prompts").status_code == 200
    assert olga.patch("/api/v1/users/rita", json={"role": "annotator"}).status_code == 200
    assert rita.get("/api/v1/prompts").status_code == 403
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86_400)
    assert rita.get("/api/v1/me").status_code == 401


def test_one_that_the_database_refuses_takes_no_other_with_it(people):
    slug, ann = make(people), people.client("ann")
    items = take(ann, slug, 3)
    given = [{"key": item["key"], "said": {"choice": "tie"}} for item in items]
    given[1]["said"] = {"choice": "nobody"}
    told = ann.post("/api/v1/answers", json={"answers": given}).json()["results"]
    assert [one["status"] for one in told] == ["kept", "refused", "kept"]
    assert len(people.studio.store.answers()) == 2


def test_errors_have_one_form(people):
    ann = people.client("ann")
    deep = "[" * 70 + "]" * 70
    bodies = {
        b'{"answers": 3}': 422,
        b"{": 400,
        b'{"answers": [], "answers": []}': 400,
        b'{"answers": [{"key": "x", "seconds": NaN}]}': 400,
        b"\xff": 400,
        f'{{"answers": [{{"key": "x", "said": {{"choice": {deep}}}}}]}}'.encode(): 400,
        ("[" * 100_000).encode(): 400,
        b'{"answers": [{"key": "x", "said": {"revision": "\\ud800"}}]}': 400,
        b'{"answers": [{"key": "a\\u0000b"}]}': 400,
        b"9" * 5000: 400,
    }
    for body, status in bodies.items():
        told = ann.post("/api/v1/answers", content=body, headers={"content-type": "application/json"})
        assert (told.status_code, list(told.json())) == (status, ["error"]), body[:60]
        assert isinstance(told.json()["error"], str)
    told = ann.post("/api/v1/answers", content=b'{"answers": []}', headers={"content-type": "text/plain"})
    assert (told.status_code, list(told.json())) == (422, ["error"])
    for path in ("/api/v1/answers?after=99999999999999999999", "/api/v1/answers?after=-1", "/api/v1/items/x"):
        assert list(people.client("olga", "owner").get(path).json()) == ["error"]
    for path in ("/api/v1/nothing", "/api/v1/projects/%00", "/api/v1/me?x=%00"):
        assert list(ann.get(path).json()) == ["error"]


def test_an_error_of_the_studio_itself_is_words_too(people, monkeypatch):
    client = TestClient(people.app, base_url="http://127.0.0.1:8400", raise_server_exceptions=False)
    user = people.studio.accounts.add("olga", "owner")
    token = people.studio.accounts.issue(user, "token", "test")
    monkeypatch.setattr(people.studio.store, "reading", lambda: 1 / 0)
    told = client.get("/api/v1/projects/x/items", headers={"authorization": f"Bearer {token}"})
    assert told.status_code == 404
    monkeypatch.setattr(people.studio.accounts, "all", lambda: 1 / 0)
    told = client.get("/api/v1/users", headers={"authorization": f"Bearer {token}"})
    assert (told.status_code, list(told.json())) == (500, ["error"])
    assert "nosniff" in told.headers["x-content-type-options"]
