"""A model that reads numbers, behind the API: numbers in a request change its answer, and wrong ones are refused."""

import pytest
from numerate import reading
from running import ask, request, running, texts
from tiny import tiny_model

from harken.serve import reading as bounds


def series(*values: object, **more: object) -> dict[str, object]:
    return {"type": "input_numbers", "input_numbers": {"values": list(values), **more}}


@pytest.fixture(scope="module")
def numerate():
    with running(reading("mlp", alone=True)) as client:
        yield client


def test_numbers_are_read(numerate):
    (card,) = numerate.get("/v1/models").json()["data"]
    assert card["input_modalities"] == ["text", "numbers"]
    asked = [request("Rising?", series([1, 2, 3], [k, 5, 6], names=["x", "y", "z"]), logprobs=True) for k in (4, 40, 4)]
    first, other, again = (ask(numerate, body)["choices"][0]["logprobs"] for body in asked)
    assert first == again != other


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (series([1, 2], [3]), "step 2 has 1 numbers"),
        (series(1, 2, "x"), "step 1, channel 3: 'x' is no number"),
        (series(), "no list, or an empty one"),
        ({"type": "input_numbers"}, "instead of an object"),
        ({"type": "numbers", "numbers": "/etc/passwd"}, "no kind of part"),
    ],
)
def test_wrong_numbers_are_refused_with_their_place(numerate, part, words):
    error = ask(numerate, request("Rising?", part), 400)["error"]
    assert words in error["message"]
    assert error["param"].startswith("messages[0].content[0]")


def test_numbers_that_do_not_fit_the_model_are_refused(numerate, monkeypatch):
    assert "encoders.numbers.channels" in ask(numerate, request("?", series(1, 2)), 400)["error"]["message"]
    monkeypatch.setattr(bounds, "MOST_NUMBERS", 5)
    assert "6 numbers, more than 5" in ask(numerate, request("?", *[series(1, 2, 3)] * 2), 400)["error"]["message"]


def test_a_model_without_numbers_says_so():
    with running(tiny_model()) as client:
        error = ask(client, request("?", series(1, 2)), 400)["error"]
        assert (error["code"], error["param"]) == ("numbers_not_supported", "messages[0].content[0]")
        assert "takes text and pictures and sounds and no numbers" in error["message"]
        assert texts(ask(client, request()))
