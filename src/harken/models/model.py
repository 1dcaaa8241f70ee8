"""A model: trunk, processor and scalar heads. Policy, reference, critic and reward model are roles of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from harken.data.batch import Batch, Completions, Outputs, Prompts, select_prompts
from harken.data.processor import Processor
from harken.data.tensors import read_tensors
from harken.models.architectures.find import Layout, architecture_of, natural_layout
from harken.models.attention import use_grouped_attention
from harken.models.cache import empty_cache
from harken.models.encoders import counted
from harken.models.features import Features
from harken.models.heads import LinearHeads, ScalarHeads
from harken.models.lora import save_merged, speaking_as
from harken.models.policy import language_head, logprobs_and_entropy
from harken.models.prefix import Kept, Prefix, plain_states, prefill, shared_states, versions_of
from harken.models.recompute import recomputing
from harken.models.task_heads import task_outputs

HEADS, HEADS_CONFIG = "heads.safetensors", "heads.json"


class Model(nn.Module):
    """A Hugging Face model with the heads that harken puts on it.

    Several models may stand on one trunk: each speaks through its own adapter, or through none.

    Attributes:
        trunk: the Hugging Face model with its language head.
        processor: what it reads with.
        heads: scalar heads by role: `value` (one head), `score` (an ensemble).
        temperature: at which its log-probabilities are taken (the one it is sampled with).
        layout: `shared` computes each prompt once; `plain` once for each completion, where the cache cannot be shared.
        adapter: the name of the adapter that it speaks through; None for the trunk as it was loaded.
        features: outputs of frozen encoders, computed before; None to run the encoders each time.
        short: whether the last layer computes of a prompt only what its completions read.
        recompute: whether the decoder's layers are computed again in the backward pass, which saves their activations.
    """

    def __init__(self, trunk: PreTrainedModel, processor: Processor):
        super().__init__()
        use_grouped_attention(trunk)
        self.trunk = trunk
        self.processor = processor
        self.heads = nn.ModuleDict()
        self.heads_config: dict[str, dict[str, float]] = {}
        self.temperature = 1.0
        self.layout: Layout = natural_layout(trunk)
        self.adapter: str | None = None
        self.features: Features | None = None
        self.recompute = False
        self.short = not architecture_of(trunk).reads_last_layer(trunk.config)
        self._kept: Kept | None = None

    @property
    def width(self) -> int:
        """Width D of the hidden states."""
        return int(self.trunk.config.get_text_config(decoder=True).hidden_size)

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Ids that it cannot write: the placeholders of media."""
        return tuple(self.processor.placeholders.values())

    def train(self, mode: bool = True) -> "Model":
        """As in torch, but the trunk stays as it is used: without dropout, and with no running statistics.

        Log-probabilities in training must be those of sampling, or every ratio between them is noise.
        """
        super().train(mode)
        self.trunk.eval()
        return self

    def add_heads(self, role: str, count: int, seed: int, prior: float = 0.0, linear: bool = False) -> None:
        """Put `count` new scalar heads on the trunk, linear ones or of a hidden layer; heads that are there are kept.

        Raises:
            ValueError: if the role has another number of heads.
        """
        config = {"count": count, "seed": seed, "prior": prior, "linear": float(linear)}
        if role in self.heads:
            if self.heads_config[role]["count"] != count:
                raise ValueError(f"the model has {self.heads_config[role]['count']} {role} heads, not {count}")
            return
        generator = torch.Generator().manual_seed(seed)
        made = LinearHeads(self.width, count) if linear else ScalarHeads(self.width, count, generator, prior)
        self.heads[role] = made.to(self.trunk.device)
        self.heads_config[role] = config

    def drop_heads(self) -> None:
        """Take all heads off."""
        self.heads = nn.ModuleDict()
        self.heads_config = {}

    def beside(self, adapter: str | None) -> "Model":
        """Another model on the same trunk, without heads, that speaks through an adapter of it or through none."""
        other = Model(self.trunk, self.processor)
        other.adapter, other.temperature = adapter, self.temperature
        other.layout, other.short = self.layout, self.short
        other.features, other.recompute = self.features, self.recompute
        return other

    @contextmanager
    def in_role(self) -> Iterator[None]:
        """The trunk speaks as this model does: through its adapter or none."""
        with speaking_as(self.trunk, self.adapter):
            yield

    @contextmanager
    def reading(self, prompts: Prompts) -> Iterator[None]:
        """The trunk reads these prompts' features, where they were computed before, and else their media.

        Raises:
            IntegrityError: if placeholders and features differ in number.
        """
        if not prompts.media:
            yield
        elif self.features is not None:
            with self.features.read_by(self.trunk, prompts):
                yield
        else:
            with counted(self.trunk, prompts, self.processor.placeholders):
                yield

    def prefix_of(self, prompts: Prompts, keep: bool = False) -> Prefix:
        """Prompts, computed; within `in_role` and `reading`.

        Args:
            prompts: P prompts.
            keep: compute them with their graph, and have the next forward over the same prompts go on from there, if
                the weights are still the same.
        """
        kept = self._kept
        if kept is not None and kept.fits(self.trunk, prompts):
            if torch.is_grad_enabled():
                self._kept = None  # its graph serves one backward pass
            return kept.prefix
        self._kept = None
        if not keep or self.recompute:
            # A layer that is computed again in the backward pass cannot be stopped half way.
            return prefill(self.trunk, prompts, empty_cache(), self.short and not self.recompute)
        with torch.enable_grad():
            prefix = prefill(self.trunk, prompts, empty_cache(), self.short)
        self._kept = Kept(prompts, prefix, versions_of(self.trunk))
        return prefix

    def forget_prefix(self) -> None:
        """Let go of prompts that were kept with their graph."""
        self._kept = None

    def states(self, batch: Batch, last: bool = True) -> Float[Tensor, "N T1 D"]:
        """Hidden states before each token of the completions; with `last` also after the last position."""
        prompts, completions = batch.prompts, batch.completions
        if not last and completions.ids.shape[1] > 1:
            completions = Completions(completions.ids[:, :-1], completions.mask[:, :-1], completions.prompt)
        each_once = torch.equal(completions.prompt, torch.arange(len(prompts.ids), device=completions.prompt.device))
        # Where no prompt has a second completion, one pass over full rows does the same work with less ado.
        shared = self.layout == "shared" and not each_once
        if not shared and not each_once:
            prompts = select_prompts(prompts, completions.prompt)
        again = self.recompute and torch.is_grad_enabled()
        with self.in_role(), self.reading(prompts), recomputing(self.trunk, again, self.in_role):
            if shared:
                return shared_states(self.trunk, prompts, completions, self.prefix_of(prompts))
            return plain_states(self.trunk, prompts, completions)

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """What a loss needs of a batch (see `Outputs`).

        Args:
            batch: prompts and completions.
            needs: names of fields of `Outputs`.
        """
        completions = batch.completions
        length = completions.ids.shape[1]
        states = self.states(batch, last=bool(needs & {"scores", "token_scores"}))
        logprobs = entropy = values = scores = logits = token_scores = None
        head = language_head(self.trunk, self.suppressed, self.temperature)
        if needs & {"logprobs", "entropy"}:
            logprobs, entropy = logprobs_and_entropy(
                states[:, :length], head, completions.ids, completions.mask, entropy="entropy" in needs
            )
        if "logits" in needs:
            logits = head(states[:, :length])
        if "values" in needs:
            values = self.heads["value"](states[:, :length])[..., 0] * completions.mask
        if "scores" in needs:
            scores = self.heads["score"](last_states(states, batch))
        if "token_scores" in needs:
            token_scores = self.heads["score"](states)
        heads = None
        if "heads" in needs:
            heads = task_outputs(self.trunk, batch.prompts, completions.prompt, states[:, 0])
        return Outputs(logprobs, entropy, values, scores, logits, token_scores, heads)

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder, and the heads beside it, in safetensors; an adapter is added to the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        save_merged(self.trunk, self.adapter, folder)
        self.save_processor_and_heads(folder)

    def save_processor_and_heads(self, folder: Path) -> None:
        """Write what is not the trunk's."""
        self.processor.save(str(folder))
        if self.heads_config:
            save_file({k: v.contiguous() for k, v in self.heads.state_dict().items()}, folder / HEADS)
            (folder / HEADS_CONFIG).write_text(json.dumps(self.heads_config, indent=2) + "\n")

    def load_heads(self, folder: Path) -> None:
        """Put on the heads that a folder holds, if any."""
        config = folder / HEADS_CONFIG
        if not config.exists():
            return
        for role, made in json.loads(config.read_text()).items():
            self.add_heads(role, int(made["count"]), int(made["seed"]), float(made["prior"]), bool(made["linear"]))
        self.heads.load_state_dict(read_tensors(folder / HEADS))


def last_states(states: Float[Tensor, "N T1 D"], batch: Batch) -> Float[Tensor, "N D"]:
    """The state after each completion's last token: where a whole answer is judged."""
    last = batch.completions.mask.sum(1)
    return states[torch.arange(len(states), device=states.device), last]
