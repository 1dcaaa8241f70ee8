import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import BY_ID, prompts, statements

from harken.feedback.records import (
    check,
    feedback_from_json,
    feedback_to_json,
    kind_of,
    named_completions,
    prompt_from_json,
    prompt_to_json,
)
from harken.types import Comparison, Edit, Ranking, Rating

KINDS = {Comparison: "comparison", Ranking: "ranking", Rating: "rating", Edit: "edit"}


@settings(max_examples=200)
@given(said=statements)
def test_feedback_of_every_kind_comes_back_from_its_wire_form(said):
    kind = kind_of(said)
    assert kind == KINDS[type(said)]
    assert feedback_from_json(kind, json.loads(json.dumps(feedback_to_json(said)))) == said
    check(said, BY_ID)
    assert set(named_completions(said)) <= BY_ID.keys()


@settings(max_examples=100)
@given(said=statements, data=st.data())
def test_a_key_too_few_or_too_many_is_refused(said, data):
    wire = feedback_to_json(said)
    with pytest.raises(ValueError, match="unknown key 'more'"):
        feedback_from_json(kind_of(said), {**wire, "more": 1})
    optional = set() if isinstance(said, Rating) else {"criterion", "other_prompt_id"}
    gone = data.draw(st.sampled_from(sorted(wire.keys() - optional)))
    with pytest.raises(ValueError, match=f"'{gone}' is missing"):
        feedback_from_json(kind_of(said), {key: value for key, value in wire.items() if key != gone})


@settings(max_examples=50)
@given(said=statements)
def test_feedback_on_what_is_not_there_is_refused(said):
    with pytest.raises(ValueError, match="there is no completion"):
        check(said, {})


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no kind of feedback 'stars'; there are comparison, ranking, rating, edit"):
        feedback_from_json("stars", {})


@settings(max_examples=100)
@given(prompt=prompts)
def test_prompts_come_back_from_their_wire_form(prompt):
    assert prompt_from_json(json.loads(json.dumps(prompt_to_json(prompt)))) == prompt


WIRE = {"id": "p", "messages": [{"role": "user", "content": []}], "references": [], "facts": {}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": 3}, "'id' must be str"),
        ({"tags": []}, "unknown key 'tags'"),
        ({"references": [1]}, "a reference is text, not 1"),
        ({"messages": ["hello"]}, "message: must be an object"),
        ({"messages": [{"role": "user"}]}, "'content' is missing"),
        ({"messages": [{"role": "king", "content": []}]}, "the role is one of system, user, assistant"),
        ({"messages": [{"role": "user", "content": ["hello"]}]}, "a part is text, image, audio or numbers"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "a part is text, image, audio or numbers"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "'text' must be str"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "path": "x"}]}]}, "unknown key 'path'"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "'sha256' is missing"),
    ],
)
def test_other_wire_forms_of_prompts_are_refused(change, why):
    with pytest.raises(ValueError, match=why):
        prompt_from_json({**WIRE, **change})
