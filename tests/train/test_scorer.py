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
