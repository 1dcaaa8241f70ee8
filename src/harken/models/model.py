"""A model: trunk, processor and scalar heads. Policy, reference, critic and reward model are roles of it."""

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from harken.data.batch import Batch, Outputs
from harken.data.processor import Processor
from harken.models.heads import ScalarHeads
from harken.models.policy import logprobs_and_entropy
from harken.models.prefix import completion_states

HEADS, HEADS_CONFIG = "heads.safetensors", "heads.json"


class Model(nn.Module):
    """A Hugging Face model with the heads that harken puts on it.

    Attributes:
        trunk: the Hugging Face model with its language head.
        processor: what it reads with.
        heads: scalar heads by role: `value` (one head), `score` (an ensemble).
        temperature: at which its log-probabilities are taken (the one it is sampled with).
    """

    def __init__(self, trunk: PreTrainedModel, processor: Processor):
        super().__init__()
        self.trunk = trunk
        self.processor = processor
        self.heads = nn.ModuleDict()
        self.heads_config: dict[str, dict[str, float]] = {}
        self.temperature = 1.0

    @property
    def width(self) -> int:
        """Width D of the hidden states."""
        return int(self.trunk.config.get_text_config().hidden_size)

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Ids that it cannot write: the placeholders of media."""
        return tuple(self.processor.placeholders.values())

    def add_heads(self, role: str, count: int, seed: int, prior: float = 0.0) -> None:
        """Put `count` new scalar heads on the trunk; heads that the role has already are kept.

        Raises:
            ValueError: if the role has another number of heads.
        """
        config = {"count": count, "seed": seed, "prior": prior}
        if role in self.heads:
            if self.heads_config[role]["count"] != count:
                raise ValueError(f"the model has {self.heads_config[role]['count']} {role} heads, not {count}")
            return
        self.heads[role] = ScalarHeads(self.width, count, torch.Generator().manual_seed(seed), prior)
        self.heads_config[role] = config

    def drop_heads(self) -> None:
        """Take all heads off."""
        self.heads = nn.ModuleDict()
        self.heads_config = {}

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """What a loss needs of a batch (see `Outputs`), each prompt computed once.

        Args:
            batch: prompts and completions.
            needs: names of fields of `Outputs`.
        """
        completions = batch.completions
        states = completion_states(self.trunk, batch)
        logprobs = entropy = values = scores = None
        if needs & {"logprobs", "entropy"}:
            logprobs, entropy = logprobs_and_entropy(
                states[:, :-1],
                self.trunk.get_output_embeddings(),
                completions.ids,
                completions.mask,
                self.suppressed,
                temperature=self.temperature,
                entropy="entropy" in needs,
            )
        if "values" in needs:
            values = self.heads["value"](states[:, :-1])[..., 0] * completions.mask
        if "scores" in needs:
            scores = self.heads["score"](last_states(states, batch))
        return Outputs(logprobs, entropy, values, scores)

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder, and the heads beside it, in safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        self.trunk.save_pretrained(folder)
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
            self.add_heads(role, int(made["count"]), int(made["seed"]), float(made["prior"]))
        self.heads.load_state_dict(load_file(folder / HEADS))


def last_states(states: Float[Tensor, "N T1 D"], batch: Batch) -> Float[Tensor, "N D"]:
    """The state after each completion's last token: where a whole answer is judged."""
    last = batch.completions.mask.sum(1)
    return states[torch.arange(len(states), device=states.device), last]
