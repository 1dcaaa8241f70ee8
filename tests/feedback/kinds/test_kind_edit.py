import re

import pytest
from hypothesis import given, settings
from said import BY_ID, edits

from harken.feedback.kinds.edit import check, from_json, pairs, revision, to_json
from harken.types import Completion, Edit

WIRE = {"prompt_id": "p", "completion": "p0", "revision": "Seven."}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Edit("p", "p9", "x"), "no completion 'p9'"),
        (Edit("p", "q0", "x"), "answers prompt 'q'"),
        (Edit("p", "p0", " \n"), "the revision is empty"),
        (Edit("p", "p0", BY_ID["p0"].text), "changes nothing"),
        (Edit("p", "p0", " " + BY_ID["p0"].text + "\n"), "changes nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(said, why):
    with pytest.raises(ValueError, match=why):
        check(said, BY_ID)


def test_the_revision_is_a_completion_that_beats_the_original():
    said = Edit("p", "p0", "Seven.")
    better = revision(said, "ada")
    assert better == Completion(better.id, "p", "Seven.", "annotator:ada")
    assert pairs(said, "ada") == [(better.id, "p0")]


@settings(max_examples=50)
@given(said=edits())
def test_a_revisions_id_depends_on_the_edit_and_its_author_alone(said):
    one = revision(said, "ada").id
    assert re.fullmatch("[0-9a-f]{16}", one)
    assert revision(Edit(said.prompt_id, said.completion, said.revision), "ada").id == one
    others = [
        revision(said, "bob").id,
        revision(Edit("p", "p0", said.revision + "!"), "ada").id,
        revision(Edit("p", "p1", said.revision), "ada").id,
    ]
    assert len({one, *others}) == 4


def test_the_wire_form():
    assert to_json(Edit("p", "p0", "Seven.")) == WIRE
    assert from_json(WIRE) == Edit("p", "p0", "Seven.")


@pytest.mark.parametrize("change", [{"revision": None}, {"text": "Seven."}])
def test_other_wire_forms_are_refused(change):
    with pytest.raises(ValueError, match="edit: "):
        from_json({**WIRE, **change})
