import itertools
import sys
from pathlib import Path

import pytest
import torch

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.reward.evidence import Evidence
from harken.reward.mix import Mix
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.rules import Length, RuleSettings
from harken.reward.wording import Wording
from harken.train.scorer import Scorer
from harken.types import Completion

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

TEXTS = ["It is 42.", "It is 42, or 7, or 8", "No."]
ROWS = [0, 0, 1]


@pytest.fixture
def asked(tmp_path):
    return prompts(Blobs(tmp_path))[:2]


def said(asked) -> list[Completion]:
    return [Completion(str(n), asked[row].id, text, "p") for n, (row, text) in enumerate(zip(ROWS, TEXTS, strict=True))]


def test_rules_and_evidence_without_people(asked):
    mix = Mix(0.0, environment={"ended": 2.0, "length": 1.0, "relevance": 0.5}, rules=RuleSettings(Length(limit=3)))
    mask = torch.ones(3, 2, dtype=torch.bool)
    evidence = Evidence(mask, torch.full((3, 2), -1.0), torch.tensor([[-1.0, -2.0], [-1.0, -1.0], [-3.0, -3.0]]))
    mixed = Scorer(mix, None, None)(asked, said(asked), ROWS, 0.0, evidence)
    assert {name: part.tolist() for name, part in mixed.breakdown.items()} == {
        "ended": [1.0, 0.0, 1.0],
        "length": [0.0, -1.0, 0.0],
        "relevance": [0.5, 0.0, 2.0],
        "human": [0.0, 0.0, 0.0],
    }
    assert mixed.total.tolist() == [2.25, -1.0, 3.0]


def test_a_rule_whose_evidence_is_missing_is_refused(asked):
    with pytest.raises(ValueError, match="relevance"):
        Scorer(Mix(environment={"relevance": 1.0}), None, None)(asked, said(asked), ROWS, 0.0)


def test_people_come_in_by_the_reward_model_and_the_schedule(asked, tmp_path):
    reward = RewardModel(tiny_model(), Wording(["ada"]), RewardModelConfig(heads=2)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in reward.model.heads.parameters():
        parameter.data.normal_(generator=generator)
    encoded = EncodedPrompts(reward.model.processor, Blobs(tmp_path))
    scorer = Scorer(Mix(1.0, 3.0, {"ended": 1.0}), reward, encoded)
    texts = said(asked)
    human = scorer.human(asked, texts, ROWS)
    assert len(set(human.tolist())) == 3
    ended = torch.tensor([1.0, 0.0, 1.0])
    for progress, weight in ((0.0, 1.0), (0.5, 2.0), (1.0, 3.0)):
        mixed = scorer(asked, texts, ROWS, progress)
        assert torch.allclose(mixed.total, ended + weight * human)
        assert mixed.weights == {"ended": 1.0, "human": weight}


@pytest.fixture
def dense(tmp_path) -> Scorer:
    reward = RewardModel(tiny_model(), Wording(["ada"]), RewardModelConfig(heads=2)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in reward.model.heads.parameters():
        parameter.data.normal_(generator=generator)
    return Scorer(Mix(2.0, dense=True), reward, EncodedPrompts(reward.model.processor, Blobs(tmp_path)))


def test_scores_along_a_completion_end_in_its_score(asked, dense):
    texts = said(asked)
    ids = [dense.encoded.processor.encode_completion(text) for text in texts]
    along = dense.reward.token_scores(dense.encoded(asked), ids, ROWS)
    assert [len(scores) for scores in along] == [len(row) for row in ids]
    whole = dense.reward.scores(dense.encoded(asked), ids, ROWS)
    assert torch.allclose(torch.stack([scores[-1] for scores in along]), whole, atol=1e-5)
    for n, row in enumerate(ids):
        cut = dense.reward.scores(dense.encoded(asked), [row[:2]], [ROWS[n]])
        assert torch.allclose(along[n][1], cut[0], atol=1e-5)


def test_people_s_reward_token_by_token_sums_to_the_same(asked, dense):
    texts = said(asked)
    ids = [dense.encoded.processor.encode_completion(text) for text in texts]
    mixed = dense(asked, texts, ROWS, 0.0, None, ids)
    assert torch.allclose(mixed.total, 2.0 * dense.human(asked, texts, ROWS), atol=1e-5)
    assert mixed.shaping.shape == (3, max(len(row) for row in ids))
    assert torch.allclose(mixed.shaping.sum(1), torch.zeros(3), atol=1e-5)
    along = dense.reward.token_scores(dense.encoded(asked), ids, ROWS)
    for n, scores in enumerate(along):
        so_far = [0.0, *scores.mean(1).tolist()]
        plain = [2.0 * (after - before) for before, after in itertools.pairwise(so_far)]
        plain[-1] -= 2.0 * so_far[-1]
        assert mixed.shaping[n, : len(plain)].tolist() == pytest.approx(plain, abs=1e-5)
        assert not mixed.shaping[n, len(plain) :].any()


def test_a_completion_whose_ids_mean_something_else_has_its_reward_at_its_end(asked, dense):
    texts = said(asked)
    ids = [dense.encoded.processor.encode_completion(text) for text in texts]
    mixed = dense(asked, texts, ROWS, 0.0, None, [ids[0], torch.cat([ids[1][:1], ids[1]]), ids[2]])
    assert mixed.shaping.any(1).tolist() == [True, False, True]
