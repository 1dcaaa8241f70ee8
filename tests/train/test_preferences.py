import json
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.dpo import DPO
from harken.algorithms.ipo import IPO
from harken.algorithms.orpo import ORPO
from harken.algorithms.simpo import SimPO
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.feedback.kinds.edit import revision
from harken.models.model import Model
from harken.train.loop import Fit, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import Preference, Preferences, PreferencesConfig, pairs_of
from harken.train.sources import parts
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

SAID = {name: Completion(name, "p0", f"answer {name}", "sft") for name in "abcd"}


def answer(feedback, annotator: str = "ada") -> Answer:
    return Answer(f"{annotator} {feedback}", annotator, "human", feedback)


def named(pairs: list[Preference]) -> list[tuple[str, str, float]]:
    return [(pair.chosen.id, pair.rejected.id, pytest.approx(pair.weight)) for pair in pairs]


@pytest.mark.parametrize(("choice", "expected"), [("a", [("a", "b", 1)]), ("b", [("b", "a", 1)])])
def test_a_comparison_is_a_pair(choice, expected):
    assert named(pairs_of([answer(Comparison("p0", "a", "b", choice))], SAID)) == expected


@pytest.mark.parametrize("choice", ["tie", "both_bad"])
def test_a_tie_and_both_bad_are_no_pair(choice):
    assert pairs_of([answer(Comparison("p0", "a", "b", choice))], SAID) == []


def test_a_ranking_is_every_two_of_different_tiers():
    found = pairs_of([answer(Ranking("p0", (("c",), ("a", "b")), ("d",)))], SAID)
    assert named(found) == [(*pair, 0.5) for pair in ("ca", "cb", "cd", "ad", "bd")]


@given(count=st.integers(2, 7))
def test_an_order_of_n_weighs_as_much_as_the_n_minus_1_choices_that_it_is(count):
    said = {str(n): Completion(str(n), "p0", f"text {n}", "sft") for n in range(count)}
    found = pairs_of([answer(Ranking("p0", tuple((name,) for name in said)))], said)
    assert math.isclose(sum(pair.weight for pair in found), count - 1)


def test_ratings_are_compared_where_they_can_be():
    said = [
        answer(Rating("p0", "a", 2)),
        answer(Rating("p0", "b", 5)),
        answer(Rating("p0", "c", 2)),
        answer(Rating("p0", "d", 1), "bob"),  # another annotator may be another scale
        answer(Rating("p0", "d", 1, criterion="tone")),
        answer(Rating("p0", "d", 1, levels=7)),
    ]
    assert named(pairs_of(said, SAID)) == [("b", "a", 0.75), ("b", "c", 0.75)]


def test_an_edit_is_the_revision_over_the_original():
    said = Edit("p0", "a", "another answer entirely")
    (found,) = pairs_of([answer(said)], SAID)
    assert (found.chosen, found.rejected) == (revision(said, "ada"), SAID["a"])
    assert 0 < found.weight < 1
    assert pairs_of([answer(Edit("p0", "a", "answer   a"))], SAID) == []  # only white space


def test_completions_that_read_the_same_are_no_pair():
    said = {"a": Completion("a", "p0", "same", "sft"), "b": Completion("b", "p0", "same", "sft")}
    assert pairs_of([answer(Comparison("p0", "a", "b", "a"))], said) == []
    said["b"] = Completion("b", "p0", "same", "sft", finished=False)
    assert len(pairs_of([answer(Comparison("p0", "a", "b", "a"))], said)) == 1


@given(count=st.integers(1, 40), accumulate=st.integers(1, 9))
def test_parts_hold_everything_once(count, accumulate):
    made = parts(list(range(count)), accumulate)
    assert [i for part in made for i in part] == list(range(count))
    assert len(made) <= accumulate
    assert all(made)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[dict[str, Prompt], list[Preference], Blobs]:
    blobs = Blobs(tmp_path_factory.mktemp("preferences") / "blobs")
    asked = prompts(blobs)
    words = ["It is 7.", "No", "A voice says eight, and more.", "42"]
    pairs = []
    for n, prompt in enumerate(asked):
        made = [Completion(f"{prompt.id}.{i}", prompt.id, words[(n + i) % 4], "sft") for i in range(3)]
        pairs += [Preference(made[0], made[1]), Preference(made[0], made[2], 0.5), Preference(made[1], made[2])]
    return {prompt.id: prompt for prompt in asked}, pairs, blobs


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


def source(world, model: Model, reference: Model | None = None, **settings_) -> Preferences:
    asked, pairs, blobs = world
    config = PreferencesConfig(**{"steps": 10, "batch": 4} | settings_)
    return Preferences(pairs, asked, EncodedPrompts(model.processor, blobs), config, 3, reference)


def texts(made: Preferences, batch, label: str) -> list[str]:
    decode, completions = made.encoded.processor.decode, batch.completions
    return [decode(completions.ids[n][completions.mask[n]]) for n in batch.labels[label].tolist()]


def test_an_epoch_is_every_pair_once_with_its_own_prompt_and_weight(world, model):
    asked, pairs, _ = world
    made = source(world, model, batch=5)
    found = []
    for step in range(3):
        (batch,) = made.batches(step)
        prompt = batch.completions.prompt
        assert torch.equal(prompt[batch.labels["chosen"]], prompt[batch.labels["rejected"]])
        ids = [batch.prompts.ids[p][batch.prompts.mask[p]] for p in range(len(batch.prompts.ids))]
        names = [next(n for n, q in asked.items() if torch.equal(made.encoded([q])[0].ids, row)) for row in ids]
        found += zip(
            [names[p] for p in prompt[batch.labels["chosen"]].tolist()],
            texts(made, batch, "chosen"),
            texts(made, batch, "rejected"),
            batch.labels["pair_weight"].tolist(),
            strict=True,
        )
    assert sorted(found) == sorted((p.chosen.prompt_id, p.chosen.text, p.rejected.text, p.weight) for p in pairs)


def test_a_prompt_and_a_completion_of_several_pairs_are_computed_once(world, model):
    (batch,) = source(world, model, batch=15).batches(0)
    assert len(batch.labels["chosen"]) == 15
    assert len(batch.prompts.ids) == 5
    assert len(batch.completions.ids) == 15  # 3 a prompt; each stands in two pairs


def test_batches_depend_on_the_step_alone(world, model):
    one, other = source(world, model, model), source(world, model, model)
    for step in (7, 2, 7):
        for a, b in zip(one.batches(step), other.batches(step), strict=True):
            assert torch.equal(a.completions.ids, b.completions.ids)
            assert a.labels.keys() == b.labels.keys()
            assert all(torch.equal(a.labels[name], b.labels[name]) for name in a.labels)


def test_the_reference_says_the_same_bits_whatever_was_asked_before(world, model):
    whole, resumed = (source(world, model, model, batch=2, accumulate=2) for _ in range(2))
    for step in range(20):
        before = whole.batches(step)
        if step >= 11:  # killed after step 10
            for a, b in zip(before, resumed.batches(step), strict=True):
                assert torch.equal(a.labels["reference_logprobs"], b.labels["reference_logprobs"])


def test_the_reference_is_right_and_asked_once_a_completion(world, model):
    asked: list[int] = []

    class Counted(Model):
        def forward(self, batch, needs):
            asked.append(len(batch.completions.ids))
            assert not torch.is_grad_enabled()
            return super().forward(batch, needs)

    made = source(world, model, Counted(model.trunk, model.processor), batch=4)
    for step in range(9):
        for batch in made.batches(step):
            with torch.no_grad():
                expected = model(batch, frozenset({"logprobs"})).logprobs
            assert torch.allclose(batch.labels["reference_logprobs"], expected, atol=1e-5)
    assert sum(asked) == 15


def test_no_pairs_and_wrong_settings_are_errors(world, model):
    asked, _, blobs = world
    with pytest.raises(ValueError, match="no pair to learn from"):
        Preferences([], asked, EncodedPrompts(model.processor, blobs), PreferencesConfig(), 0)
    with pytest.raises(ValueError, match="at least 1 pair"):
        PreferencesConfig(batch=0)


def trained(folder: Path, world, objective, steps: int, **settings_) -> tuple[Model, list[dict]]:
    policy, reference = tiny_model(), tiny_model()
    made = source(world, policy, reference if objective.reference else None, steps=steps, **settings_)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = OptimizerConfig(rate=1e-3, muon_rate=0.0, warmup=0)
    fit(policy, made, objective, Fit(folder, "align", "k", 0, optimizer, folder / "metrics.jsonl"))
    return policy, [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("objective", [DPO(), DPO(link="hinge"), IPO(), ORPO(), SimPO()], ids=lambda o: str(o)[:30])
def test_the_margin_rises_in_ten_steps(tmp_path, world, objective):
    _, figures = trained(tmp_path, world, objective, 10, batch=15)
    assert len(figures) == 10
    assert figures[-1]["margin"] > figures[0]["margin"] + 0.01
    assert figures[-1]["loss"] < figures[0]["loss"]


def gradient(model: Model, objective, batches) -> list[torch.Tensor]:
    """Of the mean over batches by their losses' weights."""
    losses = [objective.loss(model(batch, objective.needs), batch) for batch in batches]
    total = sum(loss.weight for loss in losses)
    mean = sum(loss.value * loss.weight / total for loss in losses)
    return [g for g in torch.autograd.grad(mean, list(model.parameters()), allow_unused=True) if g is not None]


@pytest.mark.parametrize("objective", [DPO(sft_weight=0.1), IPO(), ORPO(), SimPO()], ids=lambda o: type(o).__name__)
def test_a_step_in_parts_has_the_gradient_of_the_whole(world, model, objective):
    reference = tiny_model(1) if objective.reference else None
    whole = source(world, model, reference, batch=15).batches(0)
    parts = source(world, model, reference, batch=15, accumulate=4).batches(0)
    assert (len(whole), len(parts)) == (1, 4)
    one, other = gradient(model, objective, whole), gradient(model, objective, parts)
    assert max(float(g.abs().max()) for g in one) > 1e-3
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-5 * float(a.abs().max()) + 1e-7)
