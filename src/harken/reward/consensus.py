"""What most likely is true, from choices among the same labels: no model, no features, only who said what.

The likelihood is the one of choices in `reward/likelihoods/ranking.py` (Luce 1959): an annotator chooses a label with
probability in proportion to e^(reliability x score). What is not known of an item is which label is true of it; given
that, its scores are the same as those of all items of that label. So it is summed out, and what is learnt are the
scores of labels given a true one (what is mistaken for what), how common labels are, and the annotators' reliabilities:
the model of Dawid and Skene (1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm") with
one number for each annotator, as a prior that shrinks whoever said little to the average one. A free score for each
item and label, fitted together with reliabilities, would take every answer's word for itself where items have two or
three answers (Neyman and Scott 1948).
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from harken.reward.wording import Wording
from harken.types import Answer, Comparison, Completion, Ranking

RIGHT = 0.75
"""How often the average annotator is taken to be right before anybody has said anything."""
LEAD, LEAN = 1.0, 0.5
"""Standard deviations of the right label's lead about that, and of each label's score given each true one about 0."""
ENOUGH = 3
"""Answers to an item from which confusions can be told: two that differ do not say which of them was the mistake."""
FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Choices:
    """Who chose which label of which item.

    Attributes:
        items: what was judged; rows of `item`.
        annotators: their ids.
        labels: what was chosen among, the same for all items.
        item: of each of M choices, (M,).
        annotator: who made it, (M,).
        label: which was chosen, (M,).
        count: how many people made it, (M,).
    """

    items: tuple[Hashable, ...]
    annotators: tuple[str, ...]
    labels: tuple[str, ...]
    item: Int[Tensor, " M"]
    annotator: Int[Tensor, " M"]
    label: Int[Tensor, " M"]
    count: Float[Tensor, " M"]

    @classmethod
    def of(cls, said: Sequence[tuple[Hashable, str, str, int]], labels: Sequence[str] | None = None) -> "Choices":
        """From (item, annotator, label, count); items in the order in which they come, the others sorted.

        Args:
            said: the choices.
            labels: what was chosen among; what was chosen, if not given.
        """
        items = {item: n for n, item in enumerate(dict.fromkeys(item for item, _, _, _ in said))}
        people = {name: n for n, name in enumerate(sorted({who for _, who, _, _ in said}))}
        words = {word: n for n, word in enumerate(labels or sorted({label for _, _, label, _ in said}))}
        rows = torch.tensor([(items[i], people[a], words[w], n) for i, a, w, n in said]).reshape(-1, 4)
        item, who, label, count = rows.unbind(1)
        return cls(tuple(items), tuple(people), tuple(words), item, who, label, count.double())


@dataclass(frozen=True)
class Consensus:
    """What choices say together.

    Attributes:
        choices: the choices.
        chances: how likely each label is true of each item, (I, L).
        reliability: of each annotator, what multiplies scores; 1 for the average one, 0 by chance, (A,).
        accuracy: how often each annotator would choose the true label, labels being as common as they were found, (A,).
        confusion: how likely the average annotator chooses each label given each true one, (true, chosen), (L, L).
    """

    choices: Choices
    chances: Float[Tensor, "I L"]
    reliability: Float[Tensor, " A"]
    accuracy: Float[Tensor, " A"]
    confusion: Float[Tensor, "L L"]

    @property
    def label(self) -> dict[Hashable, str]:
        """The likeliest label of each item; of equally likely ones the first (`chances` tells)."""
        best = self.chances.argmax(1).tolist()
        return {item: self.choices.labels[n] for item, n in zip(self.choices.items, best, strict=True)}


def choices_of(answers: Sequence[Answer], completions: Mapping[str, Completion]) -> Choices:
    """The choices among answers, all rankings with one on top or all comparisons.

    A ranking's item is its prompt, and its labels are the completions' texts. A comparison's item is the prompt with
    its two completions, and its labels are `first` and `second` in the order of their ids, whichever was shown first,
    `tie` and `both_bad`.

    Args:
        answers: what was said, on one criterion.
        completions: by id.

    Raises:
        ValueError: if there is none; if an answer is no choice; if prompts do not offer the same labels.
    """
    if answers and all(isinstance(answer.feedback, Comparison) for answer in answers):
        return Choices.of([_compared(answer) for answer in answers])
    said, offered = [], set()
    for answer in answers:
        ranking = answer.feedback
        if not isinstance(ranking, Ranking) or [len(tier) for tier in ranking.tiers] != [1] or not ranking.rest:
            raise ValueError(
                f"the answer {answer.key!r} is no choice of one among several, and not all answers are comparisons: a "
                "consensus needs choices alone; train a reward on feedback of several kinds"
            )
        best = completions[ranking.tiers[0][0]].text
        offered.add(tuple(sorted([best, *(completions[name].text for name in ranking.rest)])))
        said.append((ranking.prompt_id, answer.annotator, best, answer.count))
    if len(offered) != 1:
        raise ValueError(
            f"{len(said)} answers choose among {len(offered)} different sets of completions; a consensus needs the "
            "same labels for all prompts: train a reward where completions are texts of all kinds"
        )
    return Choices.of(said, offered.pop())


def _compared(answer: Answer) -> tuple[Hashable, str, str, int]:
    said = answer.feedback
    assert isinstance(said, Comparison), "the caller has looked"
    first, second = sorted((said.a, said.b))
    label = {"a": said.a, "b": said.b}.get(said.choice, said.choice)
    word = FIRST if label == first else SECOND if label == second else label
    return (first, second), answer.annotator, word, answer.count


class _Confusion(nn.Module):
    """The likelihood's parameters, in double precision."""

    def __init__(self, annotators: Sequence[str], labels: int, confused: bool):
        super().__init__()
        self.usual = math.log(RIGHT / (1 - RIGHT) * (labels - 1))
        self.lead = nn.Parameter(torch.tensor(self.usual))
        self.lean = nn.Parameter(torch.zeros(labels, labels))
        self.common = nn.Parameter(torch.zeros(labels))
        self.wording = Wording(annotators, ())
        # Of the wording only reliabilities are read here.
        for name, parameter in self.wording.named_parameters():
            parameter.requires_grad_(name == "log_reliability")
        self.lean.requires_grad_(confused)
        self.common.requires_grad_(confused)
        self.double()

    def log_chances(self) -> Float[Tensor, "A L L"]:
        """Of each annotator, the log-probability of each choice (last) given each true label."""
        scores = self.lean + self.lead * torch.eye(len(self.lean), dtype=self.lean.dtype)
        every = torch.arange(len(self.wording.annotators))
        return (self.wording.reliability(every)[..., None] * scores).log_softmax(-1)

    def joint(self, choices: Choices) -> Float[Tensor, "I L"]:
        """Log-probability of what was chosen of each item together with each label being the true one."""
        table = self.log_chances().transpose(1, 2).flatten(0, 1)
        said = table.index_select(0, choices.annotator * len(self.lean) + choices.label) * choices.count[:, None]
        return self.common.log_softmax(0).expand(len(choices.items), -1).index_add(0, choices.item, said)

    def prior(self) -> Float[Tensor, ""]:
        """Minus the log-density of all parameters, but for a constant; a label is as if seen once more."""
        scores = ((self.lead - self.usual) / LEAD).square() + (self.lean / LEAN).square().sum()
        return self.wording.prior() + scores / 2 - self.common.log_softmax(0).sum()


def consensus(choices: Choices, iterations: int = 500) -> Consensus:
    """The likeliest reliabilities and confusions, and what they say of the items.

    Maximises the marginal likelihood of the choices (the true labels are summed out) times the priors by L-BFGS, from
    where all annotators are alike and labels are confused alike: from what the most say. Where most items have fewer
    than three answers, labels stay equally common and equally confused: two answers that differ do not say which way a
    mistake was made, and free parameters would settle all such ties one way. Deterministic.

    Args:
        choices: what was said.
        iterations: at most.

    Raises:
        ValueError: if nothing was said, or there is but one label.
    """
    if not len(choices.item) or len(choices.labels) < 2:
        raise ValueError(
            f"a consensus needs choices among two or more labels; there are {len(choices.item)} choices and the labels "
            f"{', '.join(choices.labels) or 'none'}"
        )
    made = _Confusion(choices.annotators, len(choices.labels), _well_asked(choices))
    learnt = [parameter for parameter in made.parameters() if parameter.requires_grad]

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        vector_to_parameters(torch.from_numpy(flat.copy()), learnt)
        loss = made.prior() - made.joint(choices).logsumexp(1).sum()
        slopes = torch.autograd.grad(loss, learnt)
        return float(loss.detach()), parameters_to_vector(slopes).numpy()

    begun = parameters_to_vector(learnt).detach().numpy()
    options = {"maxiter": iterations, "ftol": 1e-10}
    best = minimize(value, begun, jac=True, method="L-BFGS-B", options=options).x
    vector_to_parameters(torch.from_numpy(best), learnt)
    with torch.no_grad():
        table, every = made.log_chances().exp(), torch.arange(len(choices.annotators))
        accuracy = table.diagonal(dim1=1, dim2=2) @ made.common.softmax(0)
        scores = made.lean + made.lead * torch.eye(len(made.lean))
        reliability = made.wording.reliability(every)[:, 0]
        return Consensus(choices, made.joint(choices).softmax(1), reliability, accuracy, scores.softmax(1))


def _well_asked(choices: Choices) -> bool:
    """Whether most items have enough answers to tell confusions."""
    answers = torch.zeros(len(choices.items), dtype=torch.float64).index_add(0, choices.item, choices.count)
    return float((answers >= ENOUGH).double().mean()) > 0.5
