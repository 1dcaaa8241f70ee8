"""Completions that people called good or bad, each by itself, as batches for objectives that need no pairs (KTO)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harken.algorithms.kto import kl_baseline
from harken.algorithms.pairs import log_ratios
from harken.data.batch import Batch
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.feedback.kinds import comparison, edit, ranking
from harken.models.model import Model
from harken.reward.likelihoods.edit import edit_weight
from harken.train.preferences import PreferencesConfig, first_epoch
from harken.train.reference import FixedRows, ReferenceLogprobs, Row
from harken.train.sources import Stateless, parts, shuffled, take
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating


@dataclass(frozen=True)
class Judgement:
    """A completion is good or bad.

    Attributes:
        completion: what was judged.
        desirable: which.
        weight: how much the judgement counts in the loss.
    """

    completion: Completion
    desirable: bool
    weight: float = 1.0


def judgements_of(answers: Sequence[Answer], completions: Mapping[str, Completion]) -> list[Judgement]:
    """What answers of every kind say of single completions.

    The better completion of a comparison is desirable, the worse one is not, and neither of two that are both bad; a
    tie says nothing. In a ranking those that stand above more than below are desirable; the weight is the difference as
    a share of the others. A rating above the middle of its scale is desirable, below it not; the weight is its distance
    from the middle, 1 at the ends. An edit's revision is desirable, the original is not; the weight is the share that
    was changed. What several people said weighs as often; a comparison of answers to different prompts says
    neither that one is good nor that the other is bad.

    Args:
        answers: what was said; replaced answers left out.
        completions: what it was said of, by id.
    """
    out: list[Judgement] = []
    for answer in answers:
        n = float(answer.count)
        match answer.feedback:
            case Comparison(choice="both_bad") as said:
                out += [Judgement(completions[name], False, n) for name in (said.a, said.b)]
            case Comparison(other_prompt_id=None) as said:
                for better, worse in comparison.pairs(said):
                    out += [Judgement(completions[better], True, n), Judgement(completions[worse], False, n)]
            case Ranking() as said:
                out += [Judgement(completions[name], net > 0, n * abs(net)) for name, net in _standing(said).items()]
            case Rating() as said:
                above = (2 * said.score - said.levels - 1) / (said.levels - 1)
                out.append(Judgement(completions[said.completion], above > 0, n * abs(above)))
            case Edit() as said:
                old = completions[said.completion]
                changed = n * edit_weight(old.text, said.revision)
                out += [
                    Judgement(edit.revision(said, answer.annotator), True, changed),
                    Judgement(old, False, changed),
                ]
    return [judgement for judgement in out if judgement.weight > 0]


def _standing(said: Ranking) -> dict[str, float]:
    """For each completion of a ranking: (those below it - those above it) / all others, from -1 to 1."""
    names = [*(name for tier in said.tiers for name in tier), *said.rest]
    net = dict.fromkeys(names, 0.0)
    for better, worse in ranking.pairs(said):
        net[better] += 1 / (len(names) - 1)
        net[worse] -= 1 / (len(names) - 1)
    return net


@dataclass
class Judgements(Stateless):
    """Judged completions, `config.batch` a step, with the reference point that gains and losses are counted from.

    The reference point is an estimate of KL(policy || reference) from mismatched completions: each prompt has one, an
    answer to another prompt, the same in every epoch (so that the reference is asked once). All prompts of a step give
    one estimate, which no gradient passes through: however many parts a step has, its gradient is the same.

    Labels: see `harken.algorithms.kto`.

    Attributes:
        judgements: what was said.
        prompts: by id.
        encoded: prompts as the policy reads them.
        config: steps and batch.
        seed: of the order, and of who is mismatched with whom.
        policy: the model in training.
        reference: what it is measured against.
    """

    judgements: Sequence[Judgement]
    prompts: Mapping[str, Prompt]
    encoded: EncodedPrompts
    config: PreferencesConfig
    seed: int
    policy: Model
    reference: Model
    _mismatched: dict[str, Row] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._mismatched = _mismatch([j.completion for j in self.judgements], self.seed)
        self._rows = FixedRows(self.prompts, [j.completion for j in self.judgements], self.encoded)
        epoch = first_epoch(len(self.judgements), self.config, self.seed, "judgements")
        groups = [group for part in epoch for group in (self._judged(part), self._beside(part))]
        self._logprobs = ReferenceLogprobs(self.reference, self._rows, groups)

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def batches(self, step: int) -> list[Batch]:
        """One step's judgements, in `config.accumulate` parts."""
        size = min(self.config.batch, len(self.judgements))
        mine = parts(take(len(self.judgements), size, step, self.seed, "judgements"), self.config.accumulate)
        baseline = self._baseline(mine)
        return [self._batch(part, baseline) for part in mine]

    def __len__(self) -> int:
        """How many judgements there are."""
        return len(self.judgements)

    def batch_of(self, part: Sequence[int]) -> Batch:
        """Some judgements, by number, with a reference point of their own."""
        return self._batch(part, self._baseline([part]))

    def _baseline(self, groups: Sequence[Sequence[int]]) -> Tensor:
        seen: set[Row] = set()
        ratios = []
        for part in groups:
            rows = [row for row in self._beside(part) if row not in seen]
            seen.update(rows)
            if rows:
                ratios.append(self._ratios(rows))
        return kl_baseline(torch.cat(ratios))

    def _judged(self, part: Sequence[int]) -> list[Row]:
        """The part's completions, each once, those of one prompt side by side."""
        judged = [self.judgements[i].completion for i in part]
        return sorted({(completion.prompt_id, completion.id) for completion in judged})

    def _beside(self, part: Sequence[int]) -> list[Row]:
        """The mismatched completion of each of the part's prompts."""
        return [self._mismatched[name] for name in sorted({prompt for prompt, _ in self._judged(part)})]

    @torch.no_grad()
    def _ratios(self, rows: Sequence[Row]) -> Tensor:
        batch = self._rows.batch(rows)
        batch.labels["reference_logprobs"] = self._logprobs(rows, batch.completions.ids.shape[1])
        batch = batch.to(self.policy.trunk.device)
        logprobs = self.policy(batch, frozenset({"logprobs"})).logprobs
        assert logprobs is not None, "it was asked for"
        return log_ratios(logprobs, batch).cpu()

    def _batch(self, part: Sequence[int], baseline: Tensor) -> Batch:
        rows = self._judged(part)
        place = {completion: n for n, (_, completion) in enumerate(rows)}
        judged = [self.judgements[i] for i in part]
        labels = {
            "judged": torch.tensor([place[judgement.completion.id] for judgement in judged]),
            "desirable": torch.tensor([judgement.desirable for judgement in judged]),
            "judgement_weight": torch.tensor([judgement.weight for judgement in judged]),
            "baseline": baseline.expand(len(judged)).clone(),
        }
        batch = self._rows.batch(rows, labels)
        batch.labels["reference_logprobs"] = self._logprobs(rows, batch.completions.ids.shape[1])
        return batch


def _mismatch(completions: Sequence[Completion], seed: int) -> dict[str, Row]:
    """For each prompt a completion of the next one, in an order that the seed draws.

    Raises:
        ValueError: if there are not two prompts.
    """
    answered: dict[str, list[str]] = {}
    for completion in completions:
        answered.setdefault(completion.prompt_id, []).append(completion.id)
    if len(answered) < 2:
        raise ValueError(
            f"judgements of completions of {len(answered)} prompt(s): the reference point needs answers to at least 2 "
            "prompts; collect more feedback, or learn from pairs (dpo, ipo, simpo, orpo)"
        )
    names = sorted(answered)
    order = [names[i] for i in shuffled(len(names), seed, "mismatched")]
    out = {}
    for name, other in zip(order, order[1:] + order[:1], strict=True):
        written = sorted(set(answered[other]))
        out[name] = (name, written[derive(seed, "mismatched", name) % len(written)])
    return out
