import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding, Sampled
from harken.reward.mix import Mix, Mixed
from harken.reward.rules import Length, RuleSettings
from harken.train.best_of import Draws, Scored, Selection, best_of_n, demonstrations, draw
from harken.train.sampler import LocalSampler
from harken.train.scorer import Scorer
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.types import Completion, Prompt

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

MODEL = tiny_model()
HOW = Draws(4, Decoding(max_tokens=6), seed=5)
SHORT = Scorer(Mix(environment={"length": 1.0}, rules=RuleSettings(Length(limit=4, unit="characters"))), None, None)


@pytest.fixture
def encoded(tmp_path) -> EncodedPrompts:
    return EncodedPrompts(MODEL.processor, Blobs(tmp_path))


@pytest.fixture
def asked(encoded) -> list[Prompt]:
    return prompts(encoded.blobs)


def test_the_best_of_each_prompt_and_all_of_them_in_order(asked, encoded):
    sampler = LocalSampler(MODEL, encoded)
    drawn = draw(sampler, MODEL.processor, SHORT, asked, HOW)
    assert [group[0].prompt for group in drawn] == asked
    assert all(len(group) == 4 for group in drawn)
    for group in drawn:
        scores = [scored.score for scored in group]
        assert scores == sorted(scores, reverse=True)
        for scored in group:
            assert scored.score == pytest.approx(float(SHORT([scored.prompt], [scored.completion], [0], 1.0).total))
            assert scored.completion.prompt_id == scored.prompt.id
    assert len({scored.completion.id for group in drawn for scored in group}) == 4 * len(asked)
    assert len({scored.score for group in drawn for scored in group}) > 1
    assert best_of_n(sampler, MODEL.processor, SHORT, asked, HOW) == [group[0] for group in drawn]


def test_more_draws_are_no_worse_and_the_same_seed_draws_the_same(asked, encoded):
    sampler = LocalSampler(MODEL, encoded)

    def mean(how: Draws) -> float:
        return math.fsum(s.score for s in best_of_n(sampler, MODEL.processor, SHORT, asked, how)) / len(asked)

    assert mean(HOW) == mean(HOW)
    assert mean(Draws(1, HOW.decoding, 5)) < mean(Draws(16, HOW.decoding, 5))


class Listening:
    """A sampler that says each prompt's number of letters, and remembers what it was asked."""

    def __init__(self):
        self.asked: list[tuple[list[str], list[int], int]] = []

    def sample(self, prompts: Sequence[Prompt], rows: torch.Tensor, decoding: Decoding, seed: int) -> Sampled:
        self.asked.append(([prompt.id for prompt in prompts], rows.tolist(), seed))
        ids = [MODEL.processor.encode_completion(Completion("", "", f"{n}", "x")) for n in range(len(rows))]
        return Sampled(ids, torch.arange(len(rows)) % 2 == 0, [torch.zeros(len(row)) for row in ids])

    def refresh(self, policy) -> None:
        raise AssertionError("nothing was learnt")


class Last(Scorer):
    """The text, a number, is the score."""

    def __call__(self, prompts, completions, rows, progress, evidence=None) -> Mixed:
        assert progress == 1.0
        return Mixed(torch.tensor([float(completion.text) for completion in completions]), {}, {})


def test_prompts_are_asked_in_batches_and_each_gets_its_own(asked):
    sampler = Listening()
    drawn = draw(sampler, MODEL.processor, Last(Mix(), None, None), asked, Draws(3, Decoding(4), 1, batch=2))
    assert [(names, rows) for names, rows, _ in sampler.asked] == [
        (["p0", "p1"], [0, 0, 0, 1, 1, 1]),
        (["p2", "p3"], [0, 0, 0, 1, 1, 1]),
        (["p4"], [0, 0, 0]),
    ]
    assert len({seed for _, _, seed in sampler.asked}) == 3
    assert [[s.completion.text for s in group] for group in drawn[:2]] == [["2", "1", "0"], ["5", "4", "3"]]
    assert [s.completion.finished for s in drawn[0]] == [True, False, True]


def scored(prompt: str, *drawn: tuple[str, float, bool]) -> list[Scored]:
    return [Scored(Prompt(prompt, ()), Completion("c", prompt, text, "x", ok), score) for text, score, ok in drawn]


DRAWN = [
    scored("p", ("cut", 9.0, False), ("good", 3.0, True), ("good", 3.0, True), ("fair", 1.0, True)),
    scored("q", ("poor", 0.0, True), ("bad", -2.0, True)),
    scored("r", ("endless", 5.0, False)),
]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), [("p", "good"), ("q", "poor")]),
        (Selection(each=5), [("p", "good"), ("p", "fair"), ("q", "poor"), ("q", "bad")]),
        (Selection(each=5, above=0.0), [("p", "good"), ("p", "fair")]),
        (Selection(each=5, quantile=0.5), [("p", "good")]),
    ],
)
def test_what_is_learnt_from(selection, taken):
    assert [(prompt.id, text) for prompt, text in demonstrations(DRAWN, selection)] == taken


@pytest.mark.parametrize("selection", [Selection(above=3.0), Selection(quantile=1.0)])
def test_nothing_good_enough_is_an_error(selection):
    with pytest.raises(ValueError, match="none of 7 completions"):
        demonstrations(DRAWN, selection)
    with pytest.raises(ValueError, match="none of 0 completions"):
        demonstrations([], selection)


def test_the_demonstrations_source_takes_them(asked, encoded):
    drawn = draw(LocalSampler(MODEL, encoded), MODEL.processor, SHORT, asked, Draws(16, Decoding(6), 5))
    pairs = demonstrations([[s for s in group] for group in drawn], Selection())
    source = Demonstrations(pairs, encoded, DemonstrationsConfig(1, 2), 0)
    (batch,) = source.batches(0)
    assert len(batch.completions.ids) == min(2, len(pairs))


@pytest.mark.parametrize(
    "wrong", [lambda: Draws(0, Decoding(), 0), lambda: Selection(each=0), lambda: Selection(1, 2.0)]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="at least"):
        wrong()
