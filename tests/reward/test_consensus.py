import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from harken.reward.consensus import Choices, choices_of, consensus
from harken.types import Answer, Comparison, Completion, Ranking, Rating

WORDS = ("cat", "dog", "owl")


def crowd(seed: int, items: int, each: int, accuracies, labels=WORDS):
    """Choices of one-coin annotators, and the truth."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, len(labels), items)
    said = []
    for item in range(items):
        for who in chance.permutation(len(accuracies))[:each]:
            wrong = (truth[item] + chance.integers(1, len(labels))) % len(labels)
            label = truth[item] if chance.random() < accuracies[who] else wrong
            said.append((item, f"p{who:02}", labels[label], 1))
    return said, truth


def accuracy(found, truth) -> float:
    return float(np.mean([WORDS.index(found.label[item]) == true for item, true in enumerate(truth)]))


@pytest.mark.parametrize("each", [2, 3])
def test_who_is_right_more_often_is_believed(each):
    accuracies = (0.97, 0.95, 0.9, 0.6, 0.5, 0.45)
    said, truth = crowd(0, 600, each, accuracies)
    found = consensus(Choices.of(said, WORDS))
    votes = {item: [label for i, _, label, _ in said if i == item] for item in range(len(truth))}
    majority = 0.0
    for item, cast in votes.items():
        most = max(cast.count(word) for word in WORDS)
        top = [word for word in WORDS if cast.count(word) == most]
        majority += (WORDS[truth[item]] in top) / len(top) / len(truth)
    assert accuracy(found, truth) > majority + 0.03
    assert spearmanr(found.reliability, accuracies)[0] > 0.9
    assert np.abs(found.accuracy.numpy() - accuracies).max() < 0.15


def test_chances_are_bayes_s_rule_with_luce_s_choices():
    """Plainly: confusion to the power of a reliability, normalised, is how an annotator chooses."""
    said, _ = crowd(1, 40, 2, (0.9, 0.6, 0.8, 0.7))
    found = consensus(Choices.of(said, WORDS))
    who = dict(zip(found.choices.annotators, found.reliability.tolist(), strict=True))
    for item in range(40):
        chances = []
        for true in range(3):
            product = 1.0
            for i, name, label, _ in said:
                if i == item:
                    powers = [float(found.confusion[true, c]) ** who[name] for c in range(3)]
                    product *= powers[WORDS.index(label)] / sum(powers)
            chances.append(product)
        assert np.allclose(found.chances[item], np.array(chances) / sum(chances), atol=1e-6)


def test_what_is_mistaken_for_what_is_learnt_from_three_answers():
    """Owls are called cats every third time, cats never owls: two votes of three for a cat may still be an owl."""
    chance, said, truth = np.random.default_rng(2), [], []
    for item in range(900):
        true = item % 3
        truth.append(true)
        for who in range(3):
            label = 0 if true == 2 and chance.random() < 0.4 else true
            said.append((item, f"p{who}", WORDS[label], 1))
    found = consensus(Choices.of(said, WORDS))
    assert 0.25 < float(found.confusion[2, 0]) < 0.5
    assert float(found.confusion[0, 2]) < 0.05
    wronged = [n for n in range(900) if truth[n] == 2 and [w for i, _, w, _ in said if i == n].count("cat") == 2]
    assert len(wronged) > 50
    assert np.mean([found.label[n] == "owl" for n in wronged]) > 0.9


def test_two_answers_that_differ_leave_alike_annotators_a_tie():
    """Ada says cat more often than Bob: with two answers an item, that is no reason to settle every tie one way."""
    said = [(n, who, WORDS[n % 3], 1) for n in range(60) for who in ("ada", "bob")]
    said += [(n, who, word, 1) for n in range(60, 70) for who, word in (("ada", "cat"), ("bob", "dog"))]
    found = consensus(Choices.of(said, WORDS))
    assert np.allclose(found.chances[60, :2], 0.5, atol=0.02)
    assert float(found.chances[0, 0]) > 0.95


def test_who_said_little_is_taken_for_the_average_one():
    said = [(n, f"p{who}", "cat" if n % 2 else "dog", 1) for n in range(60) for who in range(3)]
    said += [(n, "wrong", "dog" if n % 2 else "cat", 1) for n in range(40)]
    said += [(40, "new", "cat", 1)]
    found = consensus(Choices.of(said))
    sure = dict(zip(found.choices.annotators, found.reliability.tolist(), strict=True))
    average = np.exp(np.mean(np.log(list(sure.values()))))
    assert average == pytest.approx(1.0)
    assert sure["wrong"] < 0.5 * sure["new"] < sure["p0"]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_the_order_of_what_was_said_and_the_names_of_labels_do_not_matter(seed):
    said, _ = crowd(seed, 15, 3, (0.9, 0.7, 0.6, 0.8))
    one = consensus(Choices.of(said, WORDS))
    shuffled = [said[n] for n in np.random.default_rng(seed).permutation(len(said))]
    renamed = [(i, who, {"cat": "owl", "owl": "cat"}.get(word, word), n) for i, who, word, n in shuffled]
    other = consensus(Choices.of(renamed, WORDS))
    place = {item: n for n, item in enumerate(other.choices.items)}
    turned = other.chances[[place[item] for item in one.choices.items]].flip(1)
    assert torch.allclose(one.chances, turned, atol=1e-3)
    assert torch.allclose(one.chances.sum(1), torch.ones(15, dtype=torch.float64))


def test_a_crowd_counts_as_often_as_it_spoke():
    often = [(n, "crowd", "cat", 3) for n in range(5)] + [(n, "crowd", "dog", 1) for n in range(5)]
    apart = [(i, who, word, 1) for i, who, word, n in often for _ in range(n)]
    assert torch.allclose(consensus(Choices.of(often)).chances, consensus(Choices.of(apart)).chances, atol=1e-6)


def completions(prompt: str, texts) -> dict[str, Completion]:
    return {f"{prompt}-{text}": Completion(f"{prompt}-{text}", prompt, text, "world") for text in texts}


def chosen(prompt: str, best: str, who: str, texts=WORDS) -> Answer:
    rest = tuple(f"{prompt}-{text}" for text in texts if text != best)
    return Answer(f"{prompt} {who}", who, "human", Ranking(prompt, ((f"{prompt}-{best}",),), rest))


def test_choices_are_read_from_answers():
    known = completions("p", WORDS) | completions("q", WORDS)
    found = choices_of([chosen("p", "owl", "ada"), chosen("q", "cat", "bob")], known)
    assert found.items == ("p", "q")
    assert found.labels == WORDS
    assert found.label.tolist() == [2, 0]


def test_a_comparison_is_the_same_item_whichever_side_was_first():
    said = [
        Answer("1", "ada", "human", Comparison("p", "x", "y", "a")),
        Answer("2", "bob", "human", Comparison("p", "y", "x", "b")),
        Answer("3", "eve", "human", Comparison("p", "y", "x", "tie")),
    ]
    found = choices_of(said, {})
    assert found.items == (("x", "y"),)
    assert [found.labels[n] for n in found.label.tolist()] == ["first", "first", "tie"]


def test_what_is_no_choice_is_refused():
    known = completions("p", WORDS) | completions("q", ("yes", "no"))
    with pytest.raises(ValueError, match="2 different sets"):
        choices_of([chosen("p", "owl", "ada"), chosen("q", "yes", "ada", ("yes", "no"))], known)
    with pytest.raises(ValueError, match="'r' is no choice"):
        choices_of([Answer("r", "ada", "human", Rating("p", "p-owl", 2))], known)
    with pytest.raises(ValueError, match="two or more labels"):
        consensus(Choices.of([("p", "ada", "cat", 1)]))
    with pytest.raises(ValueError, match="0 answers"):
        choices_of([], known)
