"""Where the truth is known: the heat must fall on the figure that was asked for, and go when the weights go."""

import asked_half
import pytest
from scipy.stats import spearmanr

from harken.data.blobs import Blobs
from harken.evaluate.explain.explanation import analyse
from harken.evaluate.explain.target import Budget, Likelihood

COUNT = 20


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """What was found of held-out questions: with what was learnt, and with random weights."""
    blobs = Blobs(tmp_path_factory.mktemp("blobs"), flush=False)
    learnt, random = asked_half.trained(blobs), asked_half.untrained(5)
    prompts = asked_half.prompts(blobs, COUNT, 2)

    def found(model):
        return [analyse(Likelihood(model), p, asked_half.answer(p), blobs, Budget(16, 16)) for p in prompts]

    return found(learnt), found(random)


def grid(found):
    return found.heat["image"].heat["pixel_values"][0, 0].numpy()


@pytest.mark.slow
def test_the_heat_falls_on_the_figure_that_decided(maps):
    learnt, _ = maps
    assert sum(found.value for found in learnt) / COUNT > -0.3  # it can do the task
    right = 0
    for n, found in enumerate(learnt):
        halves = grid(found)[:, :8].sum(), grid(found)[:, 8:].sum()
        right += halves[n % 2] > halves[1 - n % 2]
    assert right >= 0.7 * COUNT


@pytest.mark.slow
def test_picture_and_words_both_mattered(maps):
    learnt, random = maps
    for modality in ("image", "words"):
        assert sum(found.shapley[modality] for found in learnt) / COUNT > 0.2
        assert sum(abs(found.shapley[modality]) for found in random) / COUNT < 0.2


@pytest.mark.slow
def test_random_weights_give_another_map(maps):
    """1810.03292: a map that stays when the weights go says nothing of the model."""
    alike = [spearmanr(grid(a).ravel(), grid(b).ravel())[0] for a, b in zip(*maps, strict=True)]
    assert abs(sum(alike) / COUNT) < 0.25
