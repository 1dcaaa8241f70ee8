"""Plain data against a dataclass: what is wrong is named by its path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pytest

from harken.data.settings import SettingsError, validate


@dataclass(frozen=True)
class Leaf:
    size: int
    colour: Literal["red", "green"] = "red"


@dataclass(frozen=True)
class Tree:
    name: str
    leaves: tuple[Leaf, ...] = ()
    top: Leaf | None = None
    either: str | Leaf = ""
    by_name: Mapping[str, Leaf] = field(default_factory=dict)


def test_what_is_right_becomes_the_dataclass():
    plain = {
        "name": "oak",
        "leaves": [{"size": "3"}],
        "top": {"size": 1, "colour": "green"},
        "by_name": {"x": {"size": 2}},
    }
    assert validate(Tree, plain, "") == Tree("oak", (Leaf(3),), Leaf(1, "green"), "", {"x": Leaf(2)})
    assert validate(Tree, {"name": "oak", "either": {"size": 4}}, "").either == Leaf(4)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({}, "tree.name: it is missing"),
        ({"name": "x", "leafs": []}, "tree.leafs: there is no such key; did you mean 'leaves'?"),
        ({"name": "x", "zzz": 1}, "tree.zzz: there is no such key; known are name, leaves, top, either, by_name"),
        ({"name": "x", "leaves": [{"size": 1}, {"sise": 1}]}, "tree.leaves.1.sise: there is no such key"),
        ({"name": "x", "top": {"size": 1, "color": "red"}}, "tree.top.color: there is no such key; did you mean 'col"),
        ({"name": "x", "either": {"sise": 1}}, "tree.either.sise: there is no such key"),
        ({"name": "x", "leaves": [{"size": "big"}]}, "tree.leaves.0.size: Input should be a valid integer"),
        ({"name": "x", "top": {"size": 1, "colour": "blue"}}, "(it is 'blue')"),
        ({"name": True}, "tree.name: Input should be a valid string (it is True)"),
        ({"name": "x", "by_name": {"any": {"size": "big"}}}, "tree.by_name.any.size"),
        (3, "tree: "),
    ],
)
def test_what_is_wrong_is_named(plain, words):
    with pytest.raises(SettingsError) as refused:
        validate(Tree, plain, "tree")
    assert words in str(refused.value)


def test_the_caller_chooses_the_error():
    with pytest.raises(KeyErrorOfMine, match="name: it is missing"):
        validate(Tree, {}, "", KeyErrorOfMine)


class KeyErrorOfMine(ValueError):
    pass
