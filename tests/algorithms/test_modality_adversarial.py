"""The discriminator's loss against a plain reading; its gradient is turned round on its way down."""

import pytest
import torch

from harken.algorithms.modality_adversarial import ModalityAdversarial
from harken.models.fusion.heads.discriminate import Discriminate
from harken.models.fusion.heads.head import View
from harken.models.fusion.stream import Stream


def test_the_plain_reading():
    logits = torch.randn(3, 2, 2, dtype=torch.float64)
    there = torch.tensor([[True, True], [True, False], [False, False]])
    logs = logits.log_softmax(2)
    plain = -(logs[0, 0, 0] + logs[0, 1, 1]) / 2 - logs[1, 0, 0]
    found = ModalityAdversarial().loss({"logits": logits, "there": there}, None)
    assert float(found.total) == pytest.approx(float(plain), rel=1e-5)
    assert found.rows == 2


def test_what_the_discriminator_descends_the_encoders_climb():
    states = torch.randn(4, 1, 8, requires_grad=True)
    other = torch.randn(4, 1, 8)
    real = torch.ones(4, 1, dtype=torch.bool)
    gradients = {}
    for reversal in (1.0, 0.5):
        torch.manual_seed(0)
        head = Discriminate(reversal=reversal).build(8, ["image", "audio"])
        view = View(states[:, 0], {"image": Stream(states, real), "audio": Stream(other, real)}, lambda s: states[:, 0])
        loss = ModalityAdversarial().loss(head(view), None).total
        gradients[reversal] = torch.autograd.grad(loss, [states, *head.parameters()])
        means = torch.stack([states.mean(1), other.mean(1)], 1)
        outputs = {"logits": head.layers(means), "there": torch.ones(4, 2, dtype=torch.bool)}
        straight = torch.autograd.grad(ModalityAdversarial().loss(outputs, None).total, [states, *head.parameters()])
        torch.testing.assert_close(gradients[reversal][0], -reversal * straight[0])
        for mine, theirs in zip(gradients[reversal][1:], straight[1:], strict=True):
            torch.testing.assert_close(mine, theirs)
