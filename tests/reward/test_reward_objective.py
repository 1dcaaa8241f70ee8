import itertools
import math

import pytest
import torch
from plain_likelihoods import choice, grade, order
from spoken import ANNOTATORS, COMPLETIONS, EVERY

from harken.data.batch import Batch, Completions, Outputs, Prompts
from harken.reward.objective import LIKELIHOODS, FeedbackObjective, spans
from harken.reward.statements import labels_of, scales_of, statements_of
from harken.reward.wording import Wording
from harken.types import Comparison, Edit, Ranking, Rating


def said_of(statements, every, wording) -> dict[str, torch.Tensor]:
    return labels_of(statements, {name: n for n, name in enumerate(every)}, wording, every)


def random_wording(seed: int) -> Wording:
    wording = Wording(ANNOTATORS, scales_of(EVERY)).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in wording.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.4)
    return wording


def plain(answer, names, s: dict[str, float], wording: Wording) -> float:
    """log P of one answer, from the formulas, with plain numbers."""
    who = ANNOTATORS.index(answer.annotator)
    sure = math.exp(float(wording.log_reliability[who] - wording.log_reliability.mean()))
    fine = math.exp(float(wording.log_scale[who] - wording.log_scale.mean()))
    match answer.feedback:
        case Comparison(a=a, b=b, choice=said):
            tie, floor, side = float(wording.log_tie), sure * float(wording.floor), float(wording.side[who])
            return math.log(choice(sure * s[a], sure * s[b], tie, floor, side)[said])
        case Ranking(tiers=tiers, rest=rest):
            orders = itertools.product(*(itertools.permutations(tier) for tier in tiers))
            worth = {name: sure * score for name, score in s.items()}
            return math.log(sum(order(worth, [*itertools.chain(*each)], rest) for each in orders))
        case Rating(completion=name, score=score, levels=levels):
            thresholds = wording.thresholds(levels).tolist()
            return math.log(grade(s[name], score, thresholds, float(wording.severity[who]), fine))
        case Edit():
            better, worse = names
            return -math.log1p(math.exp(-sure * (s[better] - s[worse])))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_what_every_answer_says_by_its_formula(seed):
    wording, members = random_wording(seed), 3
    statements, every = statements_of(EVERY, COMPLETIONS, members, seed)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(len(every), members, generator=generator, dtype=torch.float64)
    said = said_of(statements, every, wording)
    weights = {"comparison": 1.5, "rating": 0.5}
    objective = FeedbackObjective(wording, weights, statements=40, shrink=2.0)
    found = objective.loss(Outputs(scores=scores), batch_of(said))
    total = 0.0
    weight = {kind: iter(said[f"{kind}.weight"].tolist()) for kind in LIKELIHOODS}
    for kind in LIKELIHOODS:
        for statement in statements:
            if type(statement.answer.feedback).__name__.lower() == kind:
                mine = next(weight[kind])
                for k in range(members):
                    values = {name: float(scores[n, k]) for n, name in enumerate(every)}
                    says = plain(statement.answer, statement.completions, values, wording)
                    total += weights.get(kind, 1.0) * mine[k] * says
    expected = 2.0 * float(wording.prior()) / 40 - total / members / len(EVERY)
    assert float(found.value) == pytest.approx(expected, rel=1e-9)
    assert found.weight == len(EVERY)


def batch_of(said: dict[str, torch.Tensor]) -> Batch:
    none = torch.zeros(1, 1, dtype=torch.long)
    on = torch.ones(1, 1, dtype=torch.bool)
    return Batch(Prompts(none, on, {}, {}, {}), Completions(none, on, none[0]), said)


def test_parts_of_a_batch_are_the_batch():
    wording = random_wording(0)
    statements, every = statements_of(EVERY, COMPLETIONS, 2, 0)
    scores = torch.randn(len(every), 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    objective = FeedbackObjective(wording, statements=len(EVERY))

    def loss(part):
        return objective.loss(Outputs(scores=scores), batch_of(said_of(part, every, wording)))

    whole, parts = loss(statements), [loss(statements[:4]), loss(statements[4:])]
    together = sum(part.weight * part.value for part in parts) / sum(part.weight for part in parts)
    assert float(whole.value) == pytest.approx(float(together), rel=1e-12)


def test_places_of_edits_by_the_formula_of_their_gains():
    wording = random_wording(0)
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 8, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    said = {
        "edit.annotator": torch.tensor([0, 1, 1]),
        "edit.revision": torch.tensor([0, 2, 1]),
        "edit.original": torch.tensor([1, 0, 2]),
        # Two places in the first edit, one in the second, none in the third.
        "edit.span": torch.tensor([[0, 1, 2, 1, 3], [0, 5, 5, 6, 7], [1, 0, 4, 0, 0]]),
    }
    found = spans(scores, said, wording)
    sure = wording.reliability(said["edit.annotator"])[:, 0].tolist()

    def beats(m, new, old):
        return -math.log1p(math.exp(-sure[m] * ((new[1] - new[0]) - (old[1] - old[0]))))

    for k in range(2):
        s = scores[:, :, k].tolist()
        first = 3 * beats(0, (s[0][1], s[0][3]), (s[1][1], s[1][2])) + beats(0, (s[0][6], s[0][7]), (s[1][5], s[1][5]))
        second = beats(1, (s[2][0], s[2][0]), (s[0][0], s[0][4]))
        assert found[:, k].tolist() == pytest.approx([first / 4, second, 0.0], rel=1e-9)
    assert torch.autograd.gradcheck(lambda s: spans(s, said, wording), (scores,))


def test_where_a_text_was_changed_carries_the_weight():
    wording = Wording(["ada"])
    scores = torch.zeros(2, 8, 1, requires_grad=True)
    said = {
        "edit.annotator": torch.tensor([0]),
        "edit.revision": torch.tensor([0]),
        "edit.original": torch.tensor([1]),
        "edit.span": torch.tensor([[0, 3, 5, 3, 5]]),
    }
    (slope,) = torch.autograd.grad(spans(scores, said, wording).sum(), scores)
    assert slope[0, :, 0].nonzero()[:, 0].tolist() == [3, 5]
    assert slope[0, 5, 0] > 0 > slope[1, 5, 0]
