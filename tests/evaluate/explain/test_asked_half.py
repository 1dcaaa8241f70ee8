"""Where the truth is known: the heat must fall on the figure that was asked for, and go when the weights go."""

import asked_half
import pytest
from scipy.stats import spearmanr

from harken.data.blobs import Blobs

COUNT, AGAIN = 40, 16


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """What was found of held-out questions: with what was learnt, and of some of them with random weights."""
    blobs = Blobs(tmp_path_factory.mktemp("blobs"), flush=False)
    asked = asked_half.prompts(blobs, COUNT, 2)
    learnt = asked_half.found_of(asked_half.trained(blobs), asked, blobs)
    return learnt, asked_half.found_of(asked_half.untrained(5), asked[:AGAIN], blobs)


@pytest.mark.slow
def test_the_heat_falls_on_the_figure_that_decided(maps):
    learnt, _ = maps
    assert sum(found.value for found in learnt) / COUNT > -0.3  # it can do the task
    right = 0
    for n, found in enumerate(learnt):
        heat = asked_half.heat_of(found)
        halves = heat[:, :8].sum(), heat[:, 8:].sum()
        right += halves[n % 2] > halves[1 - n % 2]
    assert right >= 0.65 * COUNT  # 20 by chance; 26 or more of 40 by chance is one in 25


@pytest.mark.slow
def test_picture_and_words_both_mattered(maps):
    learnt, random = maps
    for modality in ("image", "words"):
        assert sum(found.shapley[modality] for found in learnt) / COUNT > 0.2
        assert sum(abs(found.shapley[modality]) for found in random) / AGAIN < 0.2


@pytest.mark.slow
def test_random_weights_give_another_map(maps):
    """1810.03292: a map that stays when the weights go says nothing of the model."""
    pairs = [[asked_half.heat_of(found).ravel() for found in two] for two in zip(*maps, strict=False)]
    alike = [spearmanr(learnt, random)[0] for learnt, random in pairs]
    assert abs(sum(alike) / AGAIN) < 0.25
