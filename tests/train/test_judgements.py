import json
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.kto import KTO, kl_baseline
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.feedback.kinds.edit import revision
from harken.models.model import Model
from harken.train.judgements import Judgement, Judgements, judgements_of
from harken.train.loop import Fit, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

SAID = {name: Completion(name, "p0", f"answer {name}", "sft") for name in "abcd"}


def found_in(feedback) -> list[tuple[str, bool, float]]:
    answer = Answer("key", "ada", "human", feedback)
    return [(j.completion.id, j.desirable, pytest.approx(j.weight)) for j in judgements_of([answer], SAID)]


@pytest.mark.parametrize(
    ("feedback", "expected"),
    [
        (Comparison("p0", "a", "b", "b"), [("b", True, 1), ("a", False, 1)]),
        (Comparison("p0", "a", "b", "both_bad"), [("a", False, 1), ("b", False, 1)]),
        (Comparison("p0", "a", "b", "tie"), []),
        (Ranking("p0", (("c",), ("a",), ("b",))), [("c", True, 1), ("b", False, 1)]),  # a is neither
        (
            Ranking("p0", (("c", "a"),), ("b", "d")),
            [("c", True, 2 / 3), ("a", True, 2 / 3), ("b", False, 2 / 3), ("d", False, 2 / 3)],
        ),
        (Rating("p0", "a", 5), [("a", True, 1)]),
        (Rating("p0", "a", 2), [("a", False, 0.5)]),
        (Rating("p0", "a", 3), []),
        (Rating("p0", "a", 2, levels=2), [("a", True, 1)]),
    ],
)
def test_what_each_kind_says_of_single_completions(feedback, expected):
    assert found_in(feedback) == expected


def test_an_edit_calls_the_revision_good_and_the_original_bad():
    said = Edit("p0", "a", "another answer entirely")
    (good, goodness, weight), (bad, badness, other) = found_in(said)
    assert (good, goodness, bad, badness) == (revision(said, "ada").id, True, "a", False)
    assert weight == other
    assert found_in(Edit("p0", "a", "answer  a")) == []


@given(order=st.permutations(list("abcd")))
def test_a_reversed_ranking_says_the_opposite(order):
    up = {name: (good, weight) for name, good, weight in found_in(Ranking("p0", tuple((n,) for n in order)))}
    down = {name: (good, weight) for name, good, weight in found_in(Ranking("p0", tuple((n,) for n in order[::-1])))}
    assert up.keys() == down.keys() == set("abcd")
    assert all(up[name][0] is not down[name][0] and up[name][1] == down[name][1] for name in up)


World = tuple[dict[str, Prompt], list[Judgement], Blobs]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    blobs = Blobs(tmp_path_factory.mktemp("judgements") / "blobs")
    asked = prompts(blobs)
    words = ["It is 7.", "No", "A voice says eight, and more.", "42"]
    made = [
        Judgement(Completion(f"{p.id}.{i}", p.id, words[(n + i) % 4], "sft"), i < 2, (1.0, 0.5)[i % 2])
        for n, p in enumerate(asked)
        for i in range(3)
    ]
    made.append(Judgement(made[0].completion, False, 0.25))  # somebody disagrees
    return {prompt.id: prompt for prompt in asked}, made, blobs


def source(world: World, policy: Model, reference: Model, **settings) -> Judgements:
    asked, judgements, blobs = world
    config = PreferencesConfig(**{"steps": 10, "batch": 6} | settings)
    return Judgements(judgements, asked, EncodedPrompts(policy.processor, blobs), config, 3, policy, reference)


def test_an_epoch_is_every_judgement_once_and_a_completion_is_computed_once(world):
    _, judgements, _ = world
    policy = tiny_model()
    made = source(world, policy, policy, batch=len(judgements))
    (batch,) = made.batches(0)
    assert len(batch.labels["judged"]) == 16
    assert len(batch.completions.ids) == 15
    assert len(batch.prompts.ids) == 5
    completions, decode = batch.completions, policy.processor.decode
    texts = [decode(completions.ids[n][completions.mask[n]]) for n in batch.labels["judged"].tolist()]
    found = zip(texts, batch.labels["desirable"].tolist(), batch.labels["judgement_weight"].tolist(), strict=True)
    assert sorted(found) == sorted((j.completion.text, j.desirable, j.weight) for j in judgements)


def test_the_reference_point_is_the_mean_over_prompts_with_answers_to_others(world):
    asked, judgements, _ = world
    policy, reference = tiny_model(), tiny_model(1)
    made = source(world, policy, reference, batch=len(judgements))
    ids = made._rows.ids
    ratios = []
    for prompt, (again, completion) in made._mismatched.items():
        assert prompt == again
        owner = next(j.completion.prompt_id for j in judgements if j.completion.id == completion)
        assert owner != prompt
        batch = made._rows.batch([(prompt, completion)])
        assert torch.equal(batch.completions.ids[0], ids[completion])
        with torch.no_grad():
            new, old = (m(batch, frozenset({"logprobs"})).logprobs.sum() for m in (policy, reference))
        ratios.append(new - old)
    assert made._mismatched.keys() == asked.keys()
    assert sum(ratios) > 1.0  # else nothing would be compared but the bound of 0
    assert torch.allclose(
        made.batches(0)[0].labels["baseline"], kl_baseline(torch.stack(ratios)).expand(16), rtol=1e-4, atol=1e-4
    )


def test_the_parts_of_a_step_have_one_reference_point(world):
    policy, reference = tiny_model(), tiny_model(1)
    whole = source(world, policy, reference, batch=16).batches(0)
    parts = source(world, policy, reference, batch=16, accumulate=7).batches(0)
    assert (len(whole), len(parts)) == (1, 6)
    assert sum(len(part.labels["judged"]) for part in parts) == 16
    expected = whole[0].labels["baseline"][0]
    assert expected > 1.0  # else nothing would be compared but the bound of 0
    for part in parts:
        assert torch.allclose(part.labels["baseline"], expected.expand(len(part.labels["judged"])), atol=1e-4)


def test_batches_are_the_same_bits_after_a_resume(world):
    policy, reference = tiny_model(), tiny_model(1)
    unbroken, resumed = (source(world, policy, reference, accumulate=2) for _ in range(2))
    for step in range(8):
        before = unbroken.batches(step)
        if step >= 4:
            for a, b in zip(before, resumed.batches(step), strict=True):
                assert torch.equal(a.completions.ids, b.completions.ids)
                assert all(torch.equal(a.labels[name], b.labels[name]) for name in a.labels)


def test_answers_to_one_prompt_alone_are_an_error(world):
    asked, judgements, blobs = world
    policy = tiny_model()
    encoded = EncodedPrompts(policy.processor, blobs)
    with pytest.raises(ValueError, match="at least 2 prompts"):
        Judgements(judgements[:3], asked, encoded, PreferencesConfig(), 0, policy, policy)
    with pytest.raises(ValueError, match="at least 2 prompts"):
        Judgements([], asked, encoded, PreferencesConfig(), 0, policy, policy)


@pytest.mark.slow
def test_good_and_bad_part_in_ten_steps(tmp_path, world):
    policy, reference = tiny_model(), tiny_model()
    made = source(world, policy, reference, batch=16)
    optimizer = OptimizerConfig(rate=1e-3, muon_rate=0.0, warmup=0)
    fit(policy, made, KTO(), Fit(tmp_path, "align", "k", 0, optimizer, tmp_path / "metrics.jsonl"))
    figures = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    apart = [line["desirable_reward"] - line["undesirable_reward"] for line in figures]
    assert apart[-1] > apart[0] + 0.01
    assert figures[-1]["loss"] < figures[0]["loss"]
