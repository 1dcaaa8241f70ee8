import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from harken.pipeline.recipe import RecipeError, validate
from harken.reward.evidence import Evidence
from harken.reward.mix import Mix
from harken.reward.rules import Length, RuleSettings
from harken.types import Completion, Prompt

RIGHT, ENDED, HUMAN = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), torch.tensor([-0.5, 2.0])
MIX = Mix(human_weight=2.0, environment={"right_answer": 3.0, "ended": 0.5})


def test_environment_plus_lambda_times_human():
    mixed = MIX.combine({"ended": ENDED, "right_answer": RIGHT}, HUMAN)
    assert mixed.total.tolist() == [3.0 + 0.5 - 1.0, 0.5 + 4.0]
    assert {name: part.tolist() for name, part in mixed.breakdown.items()} == {
        "right_answer": [1.0, 0.0],
        "ended": [1.0, 1.0],
        "human": [-0.5, 2.0],
    }


def test_people_alone_by_default():
    assert torch.equal(Mix().combine({}, HUMAN).total, HUMAN)


@given(start=st.floats(0, 5), end=st.one_of(st.none(), st.floats(0, 5)), progress=st.floats(0, 1))
@settings(max_examples=40)
def test_the_total_is_the_weighted_sum_of_the_breakdown(start, end, progress):
    mix = Mix(start, end, {"right_answer": 1.5})
    mixed = mix.combine({"right_answer": RIGHT}, HUMAN, progress)
    parts = [mixed.weights[name] * part for name, part in mixed.breakdown.items()]
    assert torch.allclose(mixed.total, torch.stack(parts).sum(0))
    low, high = sorted((start, start if end is None else end))
    assert low - 1e-12 <= mixed.weights["human"] <= high + 1e-12


def test_lambda_goes_in_a_straight_line_and_stays_at_its_ends():
    mix = Mix(human_weight=1.0, human_weight_end=3.0)
    assert [mix.lambda_at(p) for p in (-1.0, 0.0, 0.25, 1.0, 2.0)] == [1.0, 1.0, 1.5, 3.0, 3.0]
    assert MIX.lambda_at(0.7) == 2.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"environment": {"right_anser": 1.0}}, "did you mean 'right_answer'"),
        ({"environment": {"zzz": 1.0}}, "there are right_answer, ended, length, repetition, fluency, relevance"),
        ({"environment": {"fluensy": 1.0}}, "did you mean 'fluency'"),
        ({"environment": {"length": 0.1}}, "say `limit` or `target` in mix.rules.length"),
        ({"environment": {"ended": math.nan}}, "finite"),
        ({"human_weight": -1.0}, "human_weight"),
        ({"human_weight_end": math.inf}, "human_weight"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Mix(**wrong)
    with pytest.raises(ValueError, match=said):
        TypeAdapter(Mix).validate_python(wrong)


def test_the_rules_must_be_the_mixes():
    with pytest.raises(ValueError, match="was given"):
        MIX.combine({"ended": ENDED}, HUMAN)


def test_a_mix_survives_a_recipe():
    for mix in (MIX, LONG):
        assert TypeAdapter(Mix).validate_python(asdict(mix)) == mix


LONG = Mix(environment={"length": 0.1, "fluency": 0.5}, rules=RuleSettings(length=Length(limit=2)))


def test_rules_have_settings_in_a_recipe():
    plain = {"environment": {"length": 0.1, "fluency": 0.5}, "rules": {"length": {"limit": 2}}}
    assert validate(Mix, plain, "align.rollout.mix") == LONG
    for wrong, said in (({"lenth": {}}, "did you mean 'length'"), ({"length": {"limt": 2}}, "did you mean 'limit'")):
        with pytest.raises(RecipeError, match=f"align.rollout.mix.rules.*{said}"):
            validate(Mix, {**plain, "rules": wrong}, "align.rollout.mix")


def test_a_mix_says_which_evidence_it_needs():
    assert MIX.needs == Mix().needs == frozenset()
    assert LONG.needs == {"reference_logprobs"}
    assert Mix(environment={"relevance": 1.0}).needs == {"reference_logprobs", "blind_logprobs"}


def test_what_its_rules_say():
    asked = [Prompt("p", ()), Prompt("q", ())]
    texts = [Completion("1", "p", "one two three", "x"), Completion("2", "q", "one", "x")]
    mask = torch.tensor([[True, True], [True, False]])
    seen = Evidence(mask, torch.tensor([[-1.0, -3.0], [-0.5, math.nan]]))
    said = LONG.says(asked, texts, seen)
    assert {name: values.tolist() for name, values in said.items()} == {"length": [-0.5, 0.0], "fluency": [-2.0, -0.5]}
    total = LONG.combine(said, torch.zeros(2)).total
    assert torch.allclose(total, torch.tensor([0.1 * -0.5 + 0.5 * -2.0, 0.5 * -0.5]))
    with pytest.raises(ValueError, match="'fluency' reads reference_logprobs"):
        LONG.says(asked, texts)
