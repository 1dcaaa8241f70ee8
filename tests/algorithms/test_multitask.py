"""Several tasks: weights fixed and learnt, parts of a step, and a task without data."""

import math

import pytest
import torch

from harken.algorithms.cross_entropy import CrossEntropy
from harken.algorithms.multitask import MultiTask
from harken.algorithms.regression import Regression
from harken.data.batch import Batch, Completions, EncodedPrompt, Outputs, collate_examples


def batch_of(rows: int, labels: dict[str, torch.Tensor]) -> Batch:
    return collate_examples([EncodedPrompt(torch.tensor([5]))] * rows, 0, labels)


def scene(rows: int = 4) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    heads = {"digit.logits": torch.randn(rows, 3), "age.values": torch.randn(rows, 1)}
    labels = {"digit": torch.tensor([0, -1, 2, 1][:rows]), "age": torch.tensor([1.0, 0.5, torch.nan, 2.0][:rows])}
    return heads, labels


TASKS = {"digit": CrossEntropy(), "age": Regression()}


def test_a_weighted_sum_of_means_over_all_rows():
    heads, labels = scene()
    found = MultiTask(TASKS, {"digit": 0.5}).loss(Outputs(heads=heads), batch_of(4, labels))
    digit = CrossEntropy().loss({"logits": heads["digit.logits"]}, labels["digit"]).total / 4
    age = Regression().loss({"values": heads["age.values"]}, labels["age"]).total / 4
    torch.testing.assert_close(found.value, 0.5 * digit + age)
    assert found.metric_weights["digit/accuracy"] == 3


def test_a_learnt_weight_is_an_uncertainty():
    heads, labels = scene()
    s = torch.tensor(0.7, requires_grad=True)
    objective = MultiTask({"digit": CrossEntropy()}, {"digit": None})
    found = objective.loss(Outputs(heads={**heads, "digit.log_variance": s}), batch_of(4, labels))
    mean = float(CrossEntropy().loss({"logits": heads["digit.logits"]}, labels["digit"]).total) / 4
    assert float(found.value) == pytest.approx(math.exp(-0.7) * mean + 0.35, rel=1e-5)
    (gradient,) = torch.autograd.grad(found.value, s)
    assert float(gradient) == pytest.approx(-math.exp(-0.7) * mean + 0.5, rel=1e-5)


def test_parts_of_a_step_give_what_the_whole_does():
    heads, labels = scene()
    objective = MultiTask(TASKS)
    whole = objective.loss(Outputs(heads=heads), batch_of(4, labels))
    total = torch.zeros(())
    for part in (slice(0, 1), slice(1, 4)):
        mine = {k: v[part] for k, v in heads.items()}
        found = objective.loss(
            Outputs(heads=mine), batch_of(len(mine["age.values"]), {k: v[part] for k, v in labels.items()})
        )
        total = total + found.value * found.weight
    torch.testing.assert_close(total / whole.weight, whole.value)


def test_a_batch_in_which_a_task_has_no_data_teaches_the_others():
    heads, labels = scene()
    s = torch.tensor(0.7, requires_grad=True)
    objective = MultiTask(TASKS, {"age": None})
    found = objective.loss(Outputs(heads={**heads, "age.log_variance": s}), batch_of(4, {"digit": labels["digit"]}))
    digit = CrossEntropy().loss({"logits": heads["digit.logits"]}, labels["digit"]).total / 4
    torch.testing.assert_close(found.value.detach(), digit)
    assert float(torch.autograd.grad(found.value, s)[0]) == 0


def test_language_counts_beside_the_heads():
    heads, labels = scene()
    logprobs = torch.full((4, 2), -1.5)
    batch = batch_of(4, labels)
    answers = Completions(torch.ones(4, 2).long(), torch.ones(4, 2).bool(), torch.arange(4))
    spoken = Batch(batch.prompts, answers, labels)
    objective = MultiTask(TASKS, {"answer": 2.0}, language="answer")
    found = objective.loss(Outputs(logprobs=logprobs, heads=heads), spoken)
    without = MultiTask(TASKS).loss(Outputs(heads=heads), batch)
    torch.testing.assert_close(found.value, without.value + 3.0)
    assert objective.needs == {"heads", "logprobs"}
