"""What prompts' facts say to heads: classes, votes, numbers, what is missing, and what is refused."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.contrast import Contrast
from harken.models.fusion.heads.discriminate import Discriminate
from harken.models.fusion.heads.match import Match
from harken.models.fusion.heads.regress import Regress
from harken.train.targets import TargetError, never_seen, targets_of
from harken.types import Message, Prompt, Text

NAMES = ("cat", "dog", "a bird")


def prompts(*facts: object, name: str = "kind") -> list[Prompt]:
    said = [{} if fact is ... else {name: fact} for fact in facts]
    return [Prompt(f"p{i}", (Message("user", (Text("?"),)),), (), one) for i, one in enumerate(said)]


def test_classes_by_name_and_by_number_and_none():
    found = targets_of(prompts("dog", 0, ..., None, "a bird"), {"kind": Classify(classes=NAMES)})
    assert found["kind"].tolist() == [1, 0, -1, -1, 2]
    assert found["kind"].dtype == torch.long


def test_votes_become_shares_and_stand_beside_classes():
    found = targets_of(prompts([1, 3, 0], "dog", ...), {"kind": Classify(classes=NAMES)})["kind"]
    assert found[:2].tolist() == [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]
    assert found[2].isnan().all()


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3).filter(lambda votes: sum(votes) > 1e-3))
def test_shares_sum_to_one_and_keep_their_proportions(votes):
    (found,) = targets_of(prompts(votes), {"kind": Classify(classes=3)})["kind"].tolist()
    assert math.isclose(sum(found), 1, rel_tol=1e-5)
    assert all(math.isclose(a * sum(votes), b, rel_tol=1e-4, abs_tol=1e-3) for a, b in zip(found, votes, strict=True))


def test_numbers_one_and_several_and_none():
    one = targets_of(prompts(2, ..., 0.5, [7]), {"kind": Regress()})["kind"]
    assert one[[0, 2, 3]].tolist() == [[2.0], [0.5], [7.0]] and one[1].isnan().all()
    several = targets_of(prompts([1, 2.5], ...), {"kind": Regress(outputs=2)})["kind"]
    assert several[0].tolist() == [1.0, 2.5] and several[1].isnan().all()


@pytest.mark.parametrize("head", [Contrast(), Match(), Discriminate()])
def test_heads_that_learn_from_what_stands_together_need_no_facts(head):
    assert targets_of(prompts(..., ...), {"pair": head}) == {}


CLASSES, NUMBERS = Classify(classes=NAMES), Classify(classes=10)


@pytest.mark.parametrize(
    ("head", "fact", "words"),
    [
        (CLASSES, "dgo", r"'p1': facts\.kind is 'dgo', none of the head's classes; did you mean 'dog'\?"),
        (CLASSES, "horse and cart", r"there are cat, dog, a bird"),
        (CLASSES, 3, "is 3, none"),
        (CLASSES, -1, "is -1, none"),
        (CLASSES, 1.0, r"is 1\.0, none"),
        (CLASSES, True, "is True, none"),
        (CLASSES, {"dog": 1}, "none of the head's classes"),
        (NUMBERS, "3", "there are 0 to 9"),
        (NUMBERS, 10, "there are 0 to 9"),
        (CLASSES, [1, 2], "votes are 3 numbers"),
        (CLASSES, [0, 0, 0], "not all 0"),
        (CLASSES, [1, -1, 1], "from 0 up"),
        (CLASSES, [1, None, 1], "votes are 3 numbers"),
        (CLASSES, [1, True, 1], "votes are 3 numbers"),
        (CLASSES, [1, math.nan, 1], "votes are 3 numbers"),
        (CLASSES, [], "votes are 3 numbers"),
        (Regress(), "2", r"facts\.kind is '2'; the head learns a number that is finite"),
        (Regress(), True, "learns a number"),
        (Regress(), math.inf, "finite"),
        (Regress(), math.nan, "finite"),
        (Regress(), 10**400, "finite"),
        (Regress(), 1e39, "finite"),
        (Regress(), [1, 2], "learns a number"),
        (Regress(outputs=2), 1.0, "a list of 2 numbers, each that is finite"),
        (Regress(outputs=2), [1.0, None], "a list of 2 numbers"),
    ],
)
def test_facts_that_a_head_cannot_learn_are_named(head, fact, words):
    good = [0] * head.outputs if isinstance(head, Regress) else 0
    with pytest.raises(TargetError, match=words):
        targets_of(prompts(good, fact), {"kind": head})


def test_a_head_without_data_is_refused_where_it_needs_some():
    heads = {"kind": CLASSES, "age": Regress()}
    with pytest.raises(TargetError, match=r"heads\.age has no data: none of the 2 prompts has facts\.age"):
        targets_of(prompts("cat", "dog"), heads)
    found = targets_of(prompts("cat", None), heads, needed=False)
    assert found["kind"].tolist() == [0, -1]
    assert found["age"].isnan().all()
    assert targets_of(prompts(None), {"kind": CLASSES}, needed=False)["kind"].tolist() == [-1]


def test_classes_that_nobody_names_are_told():
    heads = {"kind": CLASSES, "digit": Classify(classes=4), "age": Regress()}
    targets = {"kind": torch.tensor([0, -1, 0]), "digit": torch.tensor([[0.5, 0.5, 0, 0], [math.nan] * 4])}
    assert never_seen(targets, heads) == {"kind": ["dog", "a bird"], "digit": ["2", "3"]}
    assert never_seen({"kind": torch.tensor([0, 1, 2])}, {"kind": CLASSES}) == {}
