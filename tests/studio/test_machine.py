"""Programs: the client's round trip, webhooks that are signed and tried again, addresses that must not be reached."""

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest
import uvicorn
from sqlalchemy import insert

from harken.data.media.image import encode_png
from harken.feedback.client import StudioClient, StudioError
from harken.feedback.desk.keeping import load_desk
from harken.feedback.exchange.door import Place, export_chunks
from harken.feedback.exchange.names import NAMES
from harken.studio import webhooks
from harken.studio.app import make_app
from harken.studio.outward import Unreachable, check, is_public, post
from harken.studio.state import Studio, open_studio
from harken.types import Answer, Comparison, Completion, Image, Message, Prompt, Text


@pytest.fixture
def served(studio: Studio) -> Iterator[tuple[Studio, str, str]]:
    """A studio on a real port, its address, and an owner's token."""
    studio.close()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        opened = open_studio(replace(studio.config, port=port, private=True))
        owner = opened.accounts.add("olga", "owner")
        token = opened.accounts.issue(owner, "token", "program")
        server = uvicorn.Server(uvicorn.Config(make_app(opened), log_level="error"))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        yield opened, f"http://127.0.0.1:{port}", token
        server.should_exit = True
        thread.join()


@pytest.mark.slow
def test_a_program_brings_prompts_and_takes_answers(served):
    _, url, token = served
    with StudioClient(url, token) as client:
        picture = client.upload(encode_png(np.zeros((5, 5, 3), np.uint8)), "image")
        prompts = [Prompt("mine", (Message("user", (Image(picture), Text("What?"))),), ("this",), {"a": 1})]
        made = [Completion(f"mine-{n}", "mine", f"It is {n}.", f"policy-{n}") for n in range(2)]
        client.add(prompts, made)
        client.add(prompts, made)
        slug = client.make_project({"title": "Programs", "policies": ["policy-0", "policy-1"]}, {"comparison": 3})
        assert [one["slug"] for one in client.projects()] == [slug]
        told = client._send("POST", f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 3}).json()["items"]
        said = [{"key": i["key"], "said": {"choice": i["candidates"][0]["id"]}, "seconds": 3.0} for i in told]
        client._send("POST", "/api/v1/answers", json={"answers": said})
        found = list(client.answers())
        assert [answer.key for _, answer in found] == [one["key"] for one in said]
        assert list(client.answers(after=found[0][0])) == found[1:]
        with pytest.raises(StudioError, match="upload it first"):
            client.add([Prompt("other", (Message("user", (Image("0" * 64),)),))])
        with pytest.raises(StudioError, match="taken by another"):
            client.add([Prompt("mine", (Message("user", (Text("Else?"),)),))])
    with StudioClient(url, "hk_t_wrong") as stranger, pytest.raises(StudioError, match="401"):
        list(stranger.answers())


def test_a_new_project_is_told_of(served):
    studio, url, token = served
    told = []
    studio.listeners.append(lambda event, data: told.append((event, data)))
    with StudioClient(url, token) as client:
        slug = client.make_project({"title": "Told of", "forms": ["comparison"]}, {"comparison": 3})
    assert [event for event, _ in told] == ["project.created"]
    assert json.loads(json.dumps(told[0][1])) == {"slug": slug, "title": "Told of", "forms": ["comparison"], "items": 3}


def test_a_program_has_first_asked_what_its_reward_model_is_unsure_of(served):
    studio, url, token = served
    with StudioClient(url, token) as client:
        slug = client.make_project({"title": "One", "forms": ["comparison", "rating"]})
        project = studio.projects[slug].id
        pairs = [item for item in studio.desk.wanting(project) if item.form == "comparison"]
        unsure = {item.id for item in pairs[::4]}
        known = {name: [0.0, 0.0] for item in pairs for name in item.completions}
        known |= {item.completions[0]: [1.0, -1.0] for item in pairs if item.id in unsure}
        assert client.order(slug, known, policy="disagreement", random_share=0.0) == len(pairs)
        now = [item.id for item in studio.desk.wanting(project) if item.form == "comparison"]
        assert set(now) == {item.id for item in pairs}
        doubt = {item.id: abs(known[item.completions[0]][0] - known[item.completions[1]][0]) for item in pairs}
        assert [doubt[item] for item in now] == sorted(doubt.values(), reverse=True)
        with studio.store.reading() as connection:
            again, _ = load_desk(connection)
        assert [item.id for item in again.wanting(project)] == [item.id for item in studio.desk.wanting(project)]
        assert client.order(slug, {}, policy="random") == len(pairs)
        for wrong, words in (
            (({"p0-0": [1.0], "p0-1": [1.0]}, {"random_share": 0.0}), "heads"),
            (({"p0-0": [1.0, 2.0], "p0-1": [1.0]}, {}), "each completion needs as many"),
            (({}, {"policy": "badge"}), "policy"),
        ):
            with pytest.raises(StudioError, match=words):
                client.order(slug, wrong[0], **wrong[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_program_takes_all_feedback_as_a_file_of_each_format(served, tmp_path, name):
    opened, url, token = served
    opened.store.add(Answer("mine", "ann", "human", Comparison("p1", "p1-0", "p1-1", "a"), 2.0))
    with StudioClient(url, token) as client:
        client.export(name, tmp_path / "taken")
        place = Place(opened.config.place, opened.blobs.folder)
        assert (tmp_path / "taken").read_bytes() == b"".join(export_chunks(name, place)) != b""


def test_an_export_that_fails_is_told_and_leaves_no_file(served, tmp_path):
    opened, url, token = served
    opened.store.add(Answer("mine", "ann", "human", Comparison("p1", "p1-0", "p1-1", "a"), 2.0))
    with StudioClient(url, token) as client:
        with pytest.raises(StudioError, match=r"404.*no format 'xls'; there are trl"):
            client.export("xls", tmp_path / "taken")
        opened.blobs.path(opened.prompt("p1").messages[0].parts[0].sha256).unlink()
        with pytest.raises(StudioError):
            client.export("arena", tmp_path / "taken")
    assert list(tmp_path.glob("*taken*")) == []


class Listener(BaseHTTPRequestHandler):
    """Notes what it is told; refuses as long as it is asked to."""

    seen: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    refusals = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).seen.append(({k.lower(): v for k, v in self.headers.items()}, body))
        status = 503 if len(type(self).seen) <= type(self).refusals else 204
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """Somebody who is told, and soon told again what they refused."""
    monkeypatch.setattr(webhooks, "WAITS", (0.05,) * 7)
    Listener.seen, Listener.refusals = [], 0
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_webhook_is_signed_and_tried_again_until_it_is_heard(served, listener):
    _, url, token = served
    Listener.refusals = 2
    with StudioClient(url, token) as client:
        there = f"http://127.0.0.1:{listener.server_port}/hook?x=1"
        made = client._send("POST", "/api/v1/webhooks", json={"url": there, "events": ["answer.created"]}).json()
        slug = client.make_project({"title": "Told"})
        [item] = client._send("POST", f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 1}).json()["items"]
        said = {"answers": [{"key": item["key"], "said": {"choice": "tie"}}]}
        for _ in range(2):  # the second changes nothing, and nobody is told of it
            client._send("POST", "/api/v1/answers", json=said)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            [told] = client._send("GET", "/api/v1/webhooks").json()["webhooks"]
            if told["delivered"]:
                break
            time.sleep(0.05)
    assert (told["delivered"], told["waiting"], "secret" in told) == (1, 0, False)
    assert len(Listener.seen) == 3
    assert len({headers["webhook-id"] for headers, _ in Listener.seen}) == 1
    headers, body = Listener.seen[-1]
    key = base64.b64decode(made["secret"].removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert (
        headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    )
    assert json.loads(body)["data"]["key"] == item["key"]


@pytest.mark.slow
def test_a_delivery_that_breaks_is_counted_and_ends_no_other(served, listener):
    studio, url, token = served
    known = {"events": ["answer.created"], "active": True, "created_at": datetime.now(UTC)}
    with studio.store.engine.execution_options(writes=True).begin() as connection:
        for secret in ("whsec_x", "whsec_AAAA"):
            address = f"http://127.0.0.1:{listener.server_port}/"
            connection.execute(insert(webhooks.webhooks), {"url": address, "secret": secret, **known})
    with StudioClient(url, token) as client:
        client._send("POST", "/api/v1/webhooks", json={"url": f"{address}made", "events": ["answer.created"]})
        studio.tell("answer.created", {"key": "mine"})
        until = time.monotonic() + 20
        while time.monotonic() < until:
            told = client._send("GET", "/api/v1/webhooks").json()["webhooks"]
            if sum(one["delivered"] + one["given_up"] for one in told) == 3:
                break
            time.sleep(0.05)
    assert [(one["delivered"], one["given_up"]) for one in told] == [(0, 1), (1, 0), (1, 0)]


def test_an_address_that_no_request_can_have_is_unreachable():
    with pytest.raises(Unreachable, match="InvalidURL"):
        post(f"http://127.0.0.1/{'x' * 70_000}", b"", {}, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:8400/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://user:pass@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://[::1",
        "http://0x7f.1/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:7f00:1::]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://[ff02::1]/",
        "http://224.0.0.1/",
        "http://100.64.0.1/",
        "http://192.0.0.8/",
        "http://255.255.255.255/",
        "http://93.184.216.34/\u0001x",
        "http://93.184.216.34/\nx",
        "http://93.184.216.34/\u200bx",
        "http://b\u00fccher.example/",
    ],
)
def test_addresses_of_this_machine_and_of_its_network_are_not_reached(url):
    with pytest.raises(Unreachable):
        check(url, private=False)


@pytest.mark.parametrize("number", ["1.1.1.1", "2606:4700:4700::1111", "2002:101:101::"])
def test_public_addresses_are(number):
    assert is_public(ipaddress.ip_address(number))


def test_the_address_that_was_checked_is_the_one_that_is_reached(monkeypatch):
    asked = []

    def resolve(name, port, **_):
        asked.append(name)
        number = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    place = check("https://twice.example/path?q=1", private=False)
    assert (place.url, place.name) == ("https://93.184.216.34:443/path?q=1", "twice.example")
