"""Rollouts: prompts -> completions -> rewards -> advantages -> batches. A source whose data the policy makes itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from harken.algorithms.objective import OwnStep, RLAlgorithm, Rollout
from harken.data.augment.prompt import PromptChange
from harken.data.batch import Batch, EncodedPrompt, Outputs, collate, pad_right
from harken.data.bounds import at_least
from harken.data.encoded import EncodedPrompts, Given
from harken.data.seeds import derive
from harken.models.generate import Decoding
from harken.models.model import Model
from harken.reward.evidence import Evidence
from harken.reward.mix import Mix, Mixed
from harken.train.adversarial import Attack
from harken.train.adversary import Adversary
from harken.train.sampler import Asked, LocalSampler, Sampler
from harken.train.scorer import Scorer
from harken.train.sources import parts, shuffled, take
from harken.train.vllm import VLLMConfig
from harken.types import JSON, Completion, Message, Prompt, Text

DONE = "done."
"""What the names of tensors begin with that say what an adversary did to a rollout's prompts."""
SAMPLES_KEPT = 128
"""Completions of each rollout that are written to `samples.jsonl`."""


@dataclass(frozen=True)
class RolloutConfig:
    """How much reinforcement there is.

    Attributes:
        iterations: rollouts; each is learnt from `algorithm.epochs` times.
        prompts: prompts in a rollout; each is answered `algorithm.group` times.
        minibatches: parts in which a rollout is learnt from, by prompts.
        decoding: how completions are sampled. The temperature is the policy's own: log-probabilities are taken at it.
        mix: the environment's rewards and people's.
        accumulate: parts in which a minibatch goes through the model, by prompts, to save memory.
        max_logprob_difference: in nats; how far a token's log-probability at sampling and at training, with the same
            weights, may differ before the run stops.
        vllm: a server that samples in the policy's place (`docs/scale.md`).
        perturb: how the words of some prompts are changed before the policy reads them; not at all if not said.
        attack: how media are moved against the policy before it reads them; not at all if not said. Costs an answer
            to each prompt, and a forward and a backward pass a step of the attack.
    """

    iterations: int = 40
    prompts: int = 64
    minibatches: int = 2
    decoding: Decoding = field(default_factory=Decoding)
    mix: Mix = field(default_factory=Mix)
    accumulate: int = 1
    max_logprob_difference: float = 0.05
    vllm: VLLMConfig | None = None
    perturb: PromptChange | None = None
    attack: Attack | None = None

    def __post_init__(self) -> None:
        at_least(self, "rollout", iterations=0, prompts=1, minibatches=1, accumulate=1, max_logprob_difference=0)
        if self.minibatches > self.prompts:
            raise ValueError(
                f"rollout.minibatches are parts of the {self.prompts} prompts of a rollout, not {self.minibatches}"
            )
        if self.attack is not None and self.vllm is not None:
            raise ValueError("rollout.attack moves tensors, which no server takes; leave it or rollout.vllm out")
        if self.attack is not None and self.attack.embeddings:
            raise ValueError(
                f"rollout.attack.radius: {', '.join(sorted(self.attack.embeddings))} are moved in supervised training "
                "alone (sft.attack); what a policy is asked is changed in words, by rollout.perturb"
            )


@dataclass(frozen=True)
class _Answers:
    """N completions with all that is known of them; (N, T) tensors are 0 after each completion's end."""

    completions: list[Completion]
    ids: list[Tensor]
    finished: Tensor
    mask: Tensor
    logprobs: Tensor
    reference: Tensor
    values: Tensor
    mixed: Mixed


@dataclass
class Rollouts:
    """Batches from the policy's own completions.

    Attributes:
        policy: samples, and is trained by the loop.
        reference: what the KL penalty holds to; not asked where its weight is 0 for ever.
        scorer: the rewards.
        prompts: what is asked.
        encoded: prompts as the policy reads them.
        algorithm: makes advantages.
        config: sizes.
        seed: of prompts' order and samples.
        sampler: who samples; the policy itself if None.
    """

    policy: Model
    reference: Model
    scorer: Scorer
    prompts: Sequence[Prompt]
    encoded: EncodedPrompts
    algorithm: RLAlgorithm
    config: RolloutConfig
    seed: int
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        if not self.prompts:
            raise ValueError("there are no prompts to align on")
        if len(self.prompts) < self.config.minibatches:
            raise ValueError(
                f"{len(self.prompts)} prompts cannot be learnt from in {self.config.minibatches} parts: lower "
                "align.rollout.minibatches, or give more prompts"
            )
        self.kl_coefficient = self.algorithm.kl.initial
        self._pending: dict[str, Tensor] = {}
        self._adversary = self._made_adversary()
        self._read: list[EncodedPrompt] | None = None
        self._figures: dict[str, float] = {}
        self._samples: list[dict[str, JSON]] = []

    def _made_adversary(self) -> Adversary | None:
        config = self.config
        if config.perturb is None and config.attack is None:
            return None
        seed, longest = derive(self.seed, "adversary"), config.decoding.max_tokens
        made = Adversary(self.policy, self.encoded, config.perturb, config.attack, longest, seed)
        made.refuse_unseen(self.prompts)
        return made

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.iterations * self._steps_each

    @property
    def _steps_each(self) -> int:
        return self.algorithm.epochs * self.config.minibatches

    def batches(self, step: int) -> list[Batch]:
        """One minibatch of the rollout of this step; the first step of each rollout samples it."""
        iteration, inner = divmod(step, self._steps_each)
        if inner == 0:
            self._pending = self._roll_out(iteration)
        epoch, place = divmod(inner, self.config.minibatches)
        indices = self._pending["prompt_index"].tolist()
        order = shuffled(len(indices), self.seed, "minibatches", iteration, epoch)
        mine = sorted(order[place :: self.config.minibatches])
        read = self._as_read(indices, iteration)
        return [self._minibatch(read, indices, part) for part in parts(mine, self.config.accumulate)]

    def _as_read(self, indices: list[int], iteration: int) -> list[EncodedPrompt] | None:
        """A rollout's prompts as an adversary had the policy read them, after a resume made again; None without one."""
        if self._adversary is not None and self._read is None:
            done = {n.removeprefix(DONE): tensor for n, tensor in self._pending.items() if n.startswith(DONE)}
            self._read = self._adversary.encodings([self.prompts[i] for i in indices], done, iteration)
        return self._read

    def _minibatch(self, read: list[EncodedPrompt] | None, indices: list[int], mine: Sequence[int]) -> Batch:
        place = {row: i for i, row in enumerate(mine)}
        pending = self._pending
        rows = [n for n, row in enumerate(pending["row"].tolist()) if row in place]
        keep = torch.tensor(rows)
        lengths = pending["length"][keep].tolist()
        ids = [pending["ids"][n, :length] for n, length in zip(rows, lengths, strict=True)]
        longest = max(lengths)
        labels = {
            name.removeprefix("label."): (tensor[keep, :longest] if tensor.dim() == 2 else tensor[keep])
            for name, tensor in pending.items()
            if name.startswith("label.")
        }
        prompts = self.encoded([self.prompts[indices[i]] for i in mine]) if read is None else [read[i] for i in mine]
        placed = [place[row] for row in pending["row"][keep].tolist()]
        return collate(prompts, ids, placed, self.encoded.processor.pad_id, labels)

    def _roll_out(self, iteration: int) -> dict[str, Tensor]:
        config, algorithm = self.config, self.algorithm
        count = min(config.prompts, len(self.prompts))
        indices = take(len(self.prompts), count, iteration, self.seed, "rollout prompts")
        prompts = [self.prompts[i] for i in indices]
        rows = torch.arange(len(prompts)).repeat_interleave(algorithm.group)
        progress = iteration / max(1, config.iterations - 1)
        seed = derive(self.seed, "rollout", iteration)
        asked, done = self._ask(prompts, rows, iteration)
        answers = self._answer(asked, seed, f"rollout {iteration}", progress)
        rollout = Rollout(
            prompt=rows,
            mask=answers.mask,
            logprobs=answers.logprobs,
            reference_logprobs=answers.reference,
            scores=answers.mixed.total,
            values=answers.values,
            finished=answers.finished,
            kl_coefficient=self.kl_coefficient,
            shaping=answers.mixed.shaping,
        )
        labels = algorithm.advantages(rollout)
        self._samples = _kept(answers)
        self._figure(rollout, answers.mixed)
        return {
            "prompt_index": torch.tensor(indices),
            "row": rows,
            "ids": pad_right(answers.ids, self.encoded.processor.pad_id),
            "length": answers.mask.sum(1),
            "label.sampled_logprobs": answers.logprobs,
            # Cloned: a checkpoint stores no tensor under two names.
            **{f"label.{name}": tensor.detach().cpu().clone() for name, tensor in labels.items()},
            **{DONE + name: tensor for name, tensor in done.items()},
        }

    def _ask(self, prompts: Sequence[Prompt], rows: Tensor, iteration: int) -> tuple[Asked, dict[str, Tensor]]:
        """A rollout's prompts as the policy is asked them, and what an adversary did to them."""
        if self._adversary is None:
            return self._plainly(prompts, rows, self._sampler), {}
        done = self._adversary.against(prompts, iteration)
        words = self._adversary.asked(prompts, done, iteration)
        read = self._read = self._adversary.encodings(prompts, done, iteration)
        sampler = self._sampler
        if isinstance(sampler, LocalSampler):
            sampler = replace(sampler, encoded=Given(self.encoded.processor, read))
        return Asked(prompts, rows, sampler, words, read), done

    def _plainly(self, prompts: Sequence[Prompt], rows: Tensor, sampler: Sampler) -> Asked:
        return Asked(prompts, rows, sampler, prompts, self.encoded(prompts))

    @torch.no_grad()
    def _answer(self, asked: Asked, seed: int, name: str, progress: float) -> _Answers:
        """Have the policy answer, and ask all who have a say in what the answers are worth."""
        algorithm, processor = self.algorithm, self.encoded.processor
        prompts, rows = asked.prompts, asked.rows
        self.policy.eval()
        asked.sampler.refresh(self.policy)
        sampled = asked.sampler.sample(asked.words, rows, self.config.decoding, seed)
        completions = [
            Completion(f"{seed:016x}.{n}", prompts[row].id, processor.decode(ids), "policy", bool(done))
            for n, (row, ids, done) in enumerate(zip(rows.tolist(), sampled.ids, sampled.finished, strict=True))
        ]
        batch = collate(asked.read, sampled.ids, rows.tolist(), processor.pad_id)
        batch = batch.to(self.policy.trunk.device)
        # The sampler's log-probabilities are the policy's: it is asked again only for values.
        logprobs = pad_right(sampled.logprobs, 0.0)
        values = self.policy(batch, frozenset({"values"})).values if "values" in algorithm.needs else None
        needs, mask = self.scorer.mix.needs, batch.completions.mask.cpu()
        # Who judges reads what was meant.
        if self._adversary is not None:
            batch = collate(self.encoded(prompts), sampled.ids, rows.tolist(), processor.pad_id)
        reference = self._reference_logprobs(batch) if self._holds or needs else logprobs
        blind = None
        if "blind_logprobs" in needs:
            unseen = self.encoded([blinded(prompt) for prompt in prompts])
            blind = self._reference_logprobs(collate(unseen, sampled.ids, rows.tolist(), processor.pad_id))
        self.policy.train()
        mixed = self.scorer(
            prompts, completions, rows.tolist(), progress, Evidence(mask, reference, blind), sampled.ids
        )
        _refuse_bad_rewards(mixed, completions, name)
        values = torch.zeros_like(logprobs) if values is None else values.float().cpu()
        return _Answers(completions, sampled.ids, sampled.finished, mask, logprobs, reference, values, mixed)

    def held_out_reward(self, prompts: Sequence[Prompt]) -> float:
        """The mean reward of one completion a prompt, as weighed at the end of training; the same draws each time."""
        total = 0.0
        size = max(1, self.config.prompts)
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            seed = derive(self.seed, "held out", start)
            sampler = self.sampler or LocalSampler(self.policy, self.encoded)
            asked = self._plainly(part, torch.arange(len(part)), sampler)
            found = self._answer(asked, seed, "held-out prompts", 1.0)
            total += float(found.mixed.total.sum())
        return total / len(prompts)

    def _reference_logprobs(self, batch: Batch) -> Tensor:
        found = self.reference(batch.to(self.reference.trunk.device), frozenset({"logprobs"})).logprobs
        assert found is not None
        return found.float().cpu()

    @property
    def _sampler(self) -> Sampler:
        # Kept where the first update reads it: all prompts at once, from the shared prefix. A method with its own step
        # differentiates twice, which kernels of the sampler's pass may not allow.
        whole = self.config.minibatches == self.config.accumulate == 1 and not isinstance(self.algorithm, OwnStep)
        shared = self.policy.layout == "shared" and self.algorithm.group > 1
        return self.sampler or LocalSampler(self.policy, self.encoded, keep_prefix=whole and shared)

    @property
    def _holds(self) -> bool:
        return self.algorithm.kl.initial > 0

    def observe(self, step: int, batch: Batch, outputs: Outputs) -> dict[str, float]:
        """How far log-probabilities at sampling and at training differ, in nats a token.

        Raises:
            FloatingPointError: if they differ by more than `max_logprob_difference` while the weights are those that
                sampled.
        """
        if outputs.logprobs is None:
            return {}
        apart = (outputs.logprobs.detach() - batch.labels["sampled_logprobs"]).abs() * batch.completions.mask
        largest = float(apart.max())
        bound = self.config.max_logprob_difference
        if step % self._steps_each == 0 and largest > bound:
            raise FloatingPointError(
                f"step {step}: a token's log-probability was {largest:.2g} nats off what it was sampled with, and "
                f"{bound} are allowed; `harken doctor` finds out whether training and sampling agree on this model. In "
                "half precision, or with a server that samples, raise align.rollout.max_logprob_difference"
            )
        return {"logprob_difference": largest}

    def _figure(self, rollout: Rollout, mixed: Mixed) -> None:
        kl = float((rollout.logprobs - rollout.reference_logprobs).sum(1).mean())
        # Where the reference was not asked its log-probabilities are the policy's own, and there is no KL to tell.
        told = {} if rollout.reference_logprobs is rollout.logprobs else {"kl": kl}
        self._figures = {
            "reward": float(rollout.scores.mean()),
            **told,
            "kl_coefficient": self.kl_coefficient,
            "length": float(rollout.mask.sum(1).float().mean()),
            "finished": float(rollout.finished.float().mean()),
            **{f"reward/{name}": float(value.mean()) for name, value in mixed.breakdown.items()},
            "human_weight": mixed.weights["human"],
        }
        if mixed.members is not None:
            self._figures["human_spread"] = float(mixed.members.spread.mean())
            self._figures["human_worst"] = float(mixed.members.worst.mean())
        if mixed.shaping is not None:
            self._figures["dense_share"] = float(mixed.shaping.any(1).float().mean())
        self.kl_coefficient = self.algorithm.kl.update(self.kl_coefficient, kl, len(rollout.scores))

    def metrics(self) -> Mapping[str, float]:
        """The newest rollout's figures, once."""
        figures, self._figures = self._figures, {}
        return figures

    def samples(self) -> list[dict[str, JSON]]:
        """The newest rollout's first completions, once."""
        samples, self._samples = self._samples, []
        return samples

    def state(self) -> tuple[dict[str, Tensor], JSON]:
        """The rollout that is being learnt from, and the KL coefficient."""
        return dict(self._pending), {"kl_coefficient": self.kl_coefficient}

    def restore(self, tensors: dict[str, Tensor], state: JSON) -> None:
        """Go on in the middle of a rollout."""
        self._pending, self._read = dict(tensors), None
        if isinstance(state, dict) and isinstance(state["kl_coefficient"], float):
            self.kl_coefficient = state["kl_coefficient"]


def _kept(answers: _Answers) -> list[dict[str, JSON]]:
    """The first completions of a rollout with what the reward model says of them: one number, and its members'."""
    mixed, count = answers.mixed, len(answers.completions)
    told = {"human": mixed.breakdown.get("human", torch.zeros(count)).tolist()}
    if mixed.members is not None:
        told |= {f"human_{name}": getattr(mixed.members, name).tolist() for name in ("mean", "spread", "worst")}
    return [
        {"prompt_id": c.prompt_id, "text": c.text, "finished": c.finished, **{k: v[n] for k, v in told.items()}}
        for n, c in enumerate(answers.completions[:SAMPLES_KEPT])
    ]


def blinded(prompt: Prompt) -> Prompt:
    """The same prompt without its media."""
    messages = tuple(
        Message(message.role, tuple(part for part in message.parts if isinstance(part, Text)) or (Text(""),))
        for message in prompt.messages
    )
    return replace(prompt, id=f"{prompt.id} without media", messages=messages)


def _refuse_bad_rewards(mixed: Mixed, completions: Sequence[Completion], name: str) -> None:
    for kind, rewards in {**mixed.breakdown, "total": mixed.total}.items():
        bad = (~torch.isfinite(rewards)).nonzero()[:, 0].tolist()
        if bad:
            worst = completions[bad[0]]
            raise FloatingPointError(
                f"{name}: the reward {kind!r} of {len(bad)} completion(s) is {rewards[bad[0]].item()}, "
                f"first of {worst.text!r}, answering {worst.prompt_id!r}; look at the rule or the reward model"
            )
