"""Nobody in who should not be: every route by every role, other sites, other names, too much, too often."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from harken.feedback.schema import install, passes, users
from harken.studio.accounts import SCOPES
from harken.studio.app import make_app
from harken.studio.config import StudioConfig
from harken.studio.state import open_studio
from harken.studio.taking import UPLOADS
from harken.studio.throttle import Throttle

OPEN = {("post", "/api/v1/session")}
"""Routes that are for those who have not entered yet."""
WANTED = {
    "answer": {
        ("get", "/api/v1/me"),
        ("patch", "/api/v1/me"),
        ("delete", "/api/v1/session"),
        ("get", "/api/v1/projects"),
        ("get", "/api/v1/projects/{slug}"),
        ("get", "/api/v1/projects/{slug}/mine"),
        ("post", "/api/v1/projects/{slug}/next"),
        ("post", "/api/v1/projects/{slug}/release"),
        ("post", "/api/v1/answers"),
        ("post", "/api/v1/media"),
        ("get", "/media/{sha256}"),
        ("get", "/media/{sha256}/peaks"),
        ("get", "/api/v1/chat/models"),
        ("post", "/api/v1/chat/turns"),
        ("post", "/api/v1/chat/choices"),
        ("post", "/api/v1/chat/thumbs"),
    },
    "read": {
        ("get", "/api/v1/answers"),
        ("get", "/api/v1/prompts"),
        ("get", "/api/v1/export/{name}"),
        ("get", "/api/v1/projects/{slug}/items"),
        ("get", "/api/v1/items/{item}"),
    },
    "write": {
        ("post", "/api/v1/prompts"),
        ("post", "/api/v1/projects"),
        ("patch", "/api/v1/projects/{slug}"),
        ("post", "/api/v1/projects/{slug}/items"),
        ("post", "/api/v1/media/remote"),
        ("post", "/api/v1/projects/{slug}/order"),
        ("post", "/api/v1/projects/{slug}/gold"),
        ("get", "/api/v1/teach"),
        ("post", "/api/v1/teach"),
        ("get", "/api/v1/teach/{name}"),
        ("post", "/api/v1/teach/{name}/more"),
        ("post", "/api/v1/teach/{name}/questions"),
        ("post", "/api/v1/teach/{name}/train"),
        ("post", "/api/v1/teach/{name}/continue"),
        ("post", "/api/v1/teach/{name}/stop"),
        ("post", "/api/v1/teach/{name}/comparison"),
    },
    "admin": {
        ("get", "/api/v1/users"),
        ("post", "/api/v1/users"),
        ("patch", "/api/v1/users/{name}"),
        ("delete", "/api/v1/users/{name}"),
        ("post", "/api/v1/users/{name}/invite"),
        ("get", "/api/v1/tokens"),
        ("post", "/api/v1/tokens"),
        ("delete", "/api/v1/tokens/{digest}"),
        ("get", "/api/v1/webhooks"),
        ("post", "/api/v1/webhooks"),
        ("delete", "/api/v1/webhooks/{number}"),
    },
}


def routes(people) -> list[tuple[str, str]]:
    found = people.app.openapi()["paths"]
    return [(method, path) for path, methods in found.items() for method in methods]


def call(client: TestClient, method: str, path: str):
    """A request that is well formed as far as who may do it goes."""
    real = re.sub(r"\{(\w+)\}", lambda m: "1" if m[1] in ("item", "number") else "x", path)
    body = {} if method in ("post", "patch") else None
    return client.request(method, real, json=body)


def test_every_route_is_known_here_and_refuses_a_stranger(people):
    every = set(routes(people))
    assert every == OPEN | set().union(*WANTED.values())
    stranger = people.stranger()
    with people.client("olga", "owner"):
        for method, path in every - OPEN:
            assert call(stranger, method, path).status_code == 401, (method, path)


@pytest.mark.slow
@pytest.mark.parametrize("role", sorted(SCOPES))
def test_every_route_asks_for_its_scope(people, role):
    client = people.client("some", role)
    with client:
        for scope, wanted in WANTED.items():
            for method, path in wanted - {("delete", "/api/v1/session")}:
                status = call(client, method, path).status_code
                assert (status == 403) == (scope not in SCOPES[role]), (method, path, status)
                assert status < 500


def test_pages_for_owners_are_shut_to_others_and_all_pages_send_strangers_to_the_door(people):
    ann, olga = people.client("ann"), people.client("olga", "owner")
    for path in ("/dashboard", "/make", "/people", "/teach"):
        assert ann.get(path).status_code == 403
        assert olga.get(path).status_code == 200
        told = people.stranger().get(path, follow_redirects=False)
        assert (told.status_code, told.headers["location"]) == (303, f"/enter?next={path}")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:9999"}, 421),
        ({"host": ""}, 421),
        ({"host": "user@127.0.0.1:8400"}, 421),
        ({"host": "127.0.0.1:8400:1"}, 421),
        ({"host": "[::1]:8400", "origin": "http://[::1]:8400"}, 200),
        ({"host": "[::1]:8400", "origin": "http://127.0.0.1:8400"}, 403),
        ({"authorization": "Basic b2xnYTp4", "origin": "http://evil.example"}, 403),
        ({"authorization": "Basic b2xnYTp4"}, 401),
        ({"authorization": "Bearer wrong", "origin": "http://evil.example"}, 401),
        ({"host": "127.0.0.1.evil.example:8400"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8401"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}, 200),
        ({"host": "localhost:8400", "origin": "http://localhost:8400"}, 200),
    ],
)
def test_other_names_and_other_sites_change_nothing_also_on_this_machine(people, headers, status):
    ann = people.client("ann")
    told = ann.patch("/api/v1/me", json={"language": "zh"}, headers={**headers, "cookie": cookie(ann)})
    assert told.status_code == status
    assert people.studio.accounts.named("ann").settings.get("language") == ("zh" if status == 200 else None)


def cookie(client: TestClient) -> str:
    return "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)


@pytest.mark.parametrize(
    ("config", "host", "allowed"),
    [
        ({"host": "::"}, "[::1]:8400", True),
        ({"host": "[::]"}, "localhost:8400", True),
        ({"host": "[fd00::1]"}, "[fd00::1]:8400", True),
        ({"host": "fd00::1"}, "[FD00::1]:8400", True),
        ({"host": "192.168.1.5"}, "192.168.1.5:8400", True),
        ({"host": "192.168.1.5"}, "localhost:8400", False),
        ({"host": "0.0.0.0"}, "192.168.1.5:8400", False),
        ({"names": ("Studio.example.org",), "secure": True}, "studio.example.org", True),
        ({"names": ("studio.example.org",), "secure": True}, "studio.example.org:443", True),
        ({"names": ("studio.example.org",)}, "studio.example.org:443", False),
        ({"names": ("studio.example.org",), "secure": True}, "studio.example.org.evil.example", False),
    ],
)
def test_names_that_a_studio_goes_by(tmp_path, config, host, allowed):
    assert StudioConfig(tmp_path, **config).allows(host) is allowed


def test_behind_https_the_cookie_is_for_this_host_alone(tmp_path):
    studio = open_studio(StudioConfig(tmp_path, names=("studio.example.org",), secure=True))
    invite = studio.accounts.issue(studio.accounts.add("ann", "annotator"), "invite", "test")
    client = TestClient(make_app(studio), base_url="https://studio.example.org", headers={"x-harken": "1"})
    words = client.post("/api/v1/session", json={"invite": invite}).headers["set-cookie"]
    assert words.startswith("__Host-harken=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(words.split("; "))
    assert "Domain" not in words
    assert client.get("/api/v1/me").json()["name"] == "ann"
    studio.close()


def test_a_form_of_another_site_has_no_mark_and_a_token_needs_none(people):
    ann = people.client("ann")
    bare = TestClient(people.app, base_url="http://127.0.0.1:8400")
    assert bare.patch("/api/v1/me", json={"language": "zh"}, headers={"cookie": cookie(ann)}).status_code == 403
    user = people.studio.accounts.named("ann")
    token = people.studio.accounts.issue(user, "token", "program", ["answer"])
    told = bare.patch("/api/v1/me", json={"language": "zh"}, headers={"authorization": f"Bearer {token}"})
    assert told.status_code == 200


def test_the_cookie_is_for_this_site_and_no_script(people):
    user = people.studio.accounts.add("ann", "annotator")
    invite = people.studio.accounts.issue(user, "invite", "test")
    told = people.stranger().post("/api/v1/session", json={"invite": invite})
    words = told.headers["set-cookie"].lower()
    assert "httponly" in words
    assert "samesite=strict" in words
    again = people.stranger().post("/api/v1/session", json={"invite": invite})
    assert again.status_code == 401


def test_passes_are_kept_as_digests_and_end(people):
    accounts = people.studio.accounts
    user = accounts.add("ann", "annotator", "correct horse battery")
    shown = accounts.issue(user, "session", "browser")
    with people.studio.store.reading() as connection:
        rows = [connection.execute(select(table)).all() for table in (passes, users, install)]
    stored = repr(rows).encode() + b"".join(p.read_bytes() for p in people.studio.config.folder.glob("feedback.db*"))
    for secret in (shown, "correct horse battery"):
        assert secret.encode() not in stored
    assert accounts.visitor(shown).user.name == "ann"
    assert accounts.visitor(shown + "x") is None
    assert accounts.visitor(accounts.issue(user, "invite", "x")) is None
    over = accounts.issue(user, "session", "old", lasts=-1.0)
    assert accounts.visitor(over) is None
    assert accounts.revoke(accounts.visitor(shown).digest)
    assert accounts.visitor(shown) is None


def test_a_token_may_what_it_was_given_and_no_more_than_its_owner(people):
    accounts = people.studio.accounts
    olga, ann = accounts.add("olga", "owner"), accounts.add("ann", "annotator")
    assert accounts.visitor(accounts.issue(olga, "token", "x", ["read"])).scopes == {"read"}
    with pytest.raises(ValueError, match="cannot give admin"):
        accounts.issue(ann, "token", "x", ["admin"])
    token = accounts.issue(olga, "token", "x", ["admin", "read"])
    accounts.add("otto", "owner")
    accounts.change("olga", role="reviewer")
    assert accounts.visitor(token).scopes == {"read"}


def test_the_last_owner_stays(people):
    accounts = people.studio.accounts
    accounts.add("olga", "owner")
    for act in (lambda: accounts.remove("olga"), lambda: accounts.change("olga", role="annotator")):
        with pytest.raises(ValueError, match="only owner"):
            act()


@pytest.mark.slow
def test_passwords_open_and_too_many_tries_are_slowed(people):
    people.studio.accounts.add("ann", "annotator", "correct horse battery")
    stranger = people.stranger()
    right = {"name": "ann", "password": "correct horse battery"}
    assert stranger.post("/api/v1/session", json=right).status_code == 200
    tries = [stranger.post("/api/v1/session", json={"name": "ann", "password": "wrong"}).status_code for _ in range(14)]
    assert tries.count(401) <= 10
    assert tries[-1] == 429
    # Also the right one has to wait now.
    told = stranger.post("/api/v1/session", json=right)
    assert (told.status_code, int(told.headers["retry-after"]) > 0) == (429, True)


@pytest.mark.parametrize("scopes", [["answer"], []], ids=["narrow", "whole"])
def test_a_token_sets_no_password(people, scopes):
    accounts = people.studio.accounts
    olga = accounts.add("olga", "owner")
    bearer = {"authorization": f"Bearer {accounts.issue(olga, 'token', 'program', scopes)}"}
    told = people.stranger().patch("/api/v1/me", json={"password": "taken over by it"}, headers=bearer)
    assert (told.status_code, "enter with a browser" in told.json()["error"]) == (403, True)
    assert accounts.check_password("olga", "taken over by it") is None


@pytest.mark.slow
def test_a_new_password_wants_the_one_before_and_ends_the_other_sessions(people):
    ann, accounts = people.client("ann"), people.studio.accounts
    user = accounts.named("ann")
    other, token = accounts.issue(user, "session", "another browser"), accounts.issue(user, "token", "program")
    assert ann.patch("/api/v1/me", json={"password": "correct horse battery"}).status_code == 200
    assert ann.get("/api/v1/me").json()["name"] == "ann"
    assert (accounts.visitor(other), accounts.visitor(token).user.name) == (None, "ann")
    for wrong in ({}, {"current_password": "wrong"}):
        told = ann.patch("/api/v1/me", json={"password": "another horse battery", **wrong})
        assert (told.status_code, "current_password" in told.json()["error"]) == (403, True)
    assert accounts.check_password("ann", "correct horse battery") is not None
    given = {"password": "another horse battery", "current_password": "correct horse battery"}
    assert ann.patch("/api/v1/me", json=given).status_code == 200
    assert accounts.check_password("ann", "another horse battery") is not None
    tries = [ann.patch("/api/v1/me", json={**given, "current_password": "wrong"}).status_code for _ in range(12)]
    assert tries[-1] == 429


def test_a_throttle_gives_back_with_time():
    now = [0.0]
    throttle = Throttle(2, 10.0, lambda: now[0])
    assert [throttle.wait("a"), throttle.wait("a")] == [0.0, 0.0]
    assert throttle.wait("a") == pytest.approx(10.0)
    assert throttle.wait("b") == 0.0
    now[0] = 10.0
    assert throttle.wait("a") == 0.0
    assert throttle.wait("a") == pytest.approx(10.0)


def test_many_names_take_no_more_room():
    throttle = Throttle(2, 1e9)
    for n in range(25_000):
        throttle.wait(f"from {n}")
    assert len(throttle._used) <= 10_000


def test_every_response_tells_the_browser_to_be_careful(people):
    ann = people.client("ann")
    for path in ("/", "/enter", "/api/v1/me", "/static/answer.js", "/nothing", "/media/" + "0" * 64):
        headers = ann.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    html = ann.get("/").text
    assert not re.search(r"<script(?![^>]*(src=|application/json))", html)
    assert not re.search(r"\son\w+=|style=", html)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("chat/turns", {"max_tokens": 9999}, "max_tokens is at most 4096"),
        ("chat/turns", {"temperature": "warm"}, "temperature is a number"),
        ("chat/turns", {"key": "k"}, "key has at least 8 letters"),
        ("chat/turns", {"parts": []}, "parts has at least 1 entries"),
        ("chat/turns", {"parts": [{"type": "film"}]}, "parts.0 is of a kind that is not known here"),
        ("chat/turns", {"parts": [{}]}, "parts.0 says of which kind it is as 'type'"),
        ("chat/turns", {"more": 1}, "more is not known here"),
        ("chat/turns", [], "the body is an object"),
        ("media?kind=film", {}, "query.kind is one of 'image', 'audio' or 'numbers'"),
    ],
)
def test_a_field_that_is_wrong_is_named_in_plain_words(people, path, body, words):
    whole = {"key": "long-enough", "asked": [{"endpoint": 0, "model": "m"}], "parts": [{"type": "text", "text": "?"}]}
    given = {**whole, **body} if isinstance(body, dict) else body
    told = people.client("ann").post(f"/api/v1/{path}", json=given)
    assert (told.status_code, words in told.json()["error"]) == (422, True), told.json()
    assert "nput should" not in told.json()["error"]


def test_too_much_is_refused_before_it_is_read(people):
    ann = people.client("ann")
    over = {"content-length": str(UPLOADS.image_bytes + 1)}
    told = ann.post("/api/v1/media?kind=image", content=b"x", headers=over)
    assert (told.status_code, told.json()["error"]) == (413, "the body has more than 32 MiB")
    assert ann.post("/api/v1/answers", content=b"x" * (2 << 20)).status_code == 413
    told = ann.post("/api/v1/answers", content=(b"x" * 65536 for _ in range(40)))
    assert told.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/media/../feedback.db",
        "/media/%2e%2e%2ffeedback.db",
        "/media/" + "A" * 64,
    ],
)
def test_no_path_leads_out(people, path):
    told = people.client("olga", "owner").get(path)
    assert told.status_code == 404
    assert b"SQLite" not in told.content
