"""A completion to a number: a trunk with an ensemble of scalar heads, and what turns scores into people's words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from harken.data.batch import Batch, EncodedPrompt, Outputs, collate
from harken.data.bounds import at_least
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.data.settings import validate
from harken.data.tensors import read_tensors
from harken.models.fusion.build import FamilyConfig
from harken.models.load import load_model
from harken.models.lora import free_name, load_adapter, save_adapter, weights_hash
from harken.models.model import Model, last_states
from harken.reward.combining import Combining, Summary
from harken.reward.scale import scale_of
from harken.reward.wording import Wording
from harken.types import Completion, Prompt

MEAN = Combining()
SCORES, TOKEN_SCORES = frozenset({"scores"}), frozenset({"token_scores"})
PARAMETERS, CONFIG = "reward.safetensors", "reward.json"
ADAPTER, BELOW = "adapter", "below.sha256"


@dataclass(frozen=True)
class RewardModelConfig:
    """What a reward model is.

    Attributes:
        heads: members K of the ensemble, on one trunk.
        prior: scale of each member's fixed random function (1806.03335), in units of the raw score; keeps members
            apart where data are silent.
        head: what each member is: a layer and a line on it, trained with the trunk or its adapter; or a line on the
            trunk's states as they are, fitted in seconds.
        trunk: what the heads stand on: the weights of the policy whose completions are judged; or `encoders`, a new
            model of harken's own family, made for this and trained from nothing: it reads texts, pictures and sounds
            and never writes.
        family: its sizes.
    """

    heads: int = 4
    prior: float = 0.0
    head: Literal["hidden", "linear"] = "hidden"
    trunk: Literal["policy", "encoders"] = "policy"
    family: FamilyConfig = field(default_factory=FamilyConfig)

    def __post_init__(self) -> None:
        at_least(self, "reward.model", heads=1, prior=0)
        if self.trunk == "encoders" and self.head == "linear":
            raise ValueError(
                "reward.model.head: linear leaves the trunk as it is, and reward.model.trunk: encoders is one that has "
                "learnt nothing yet; leave one of them out"
            )


class RewardModel(nn.Module):
    """Trunk, K score heads, wording, and the scale that was fixed after training.

    Attributes:
        model: the trunk with its `score` heads.
        wording: the likelihoods' own parameters.
        combining: how members' scores become one reward.
        centre: mean score of each member over the reference's completions, (K,).
        spread: standard deviation of the ensemble's mean over them, one number for all members.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        model: Model,
        wording: Wording,
        config: RewardModelConfig,
        seed: int = 0,
        combining: Combining = MEAN,
    ):
        super().__init__()
        self.model = model
        self.config = config
        model.add_heads("score", config.heads, derive(seed, "score heads"), config.prior, config.head == "linear")
        self.wording = wording
        self.combining = combining
        self.register_buffer("centre", torch.zeros(config.heads))
        self.register_buffer("spread", torch.ones(()))

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """Raw scores, as the likelihoods read them; after each token too, where labels name places of edits."""
        return self.model(batch, needs | {"token_scores"} if "edit.span" in batch.labels else needs)

    @torch.no_grad()
    def scores(
        self, prompts: Sequence[EncodedPrompt], completions: Sequence[Tensor], rows: Sequence[int], batch: int = 64
    ) -> Float[Tensor, "N K"]:
        """Centred and scaled scores of N completions.

        Args:
            prompts: P prompts, encoded by this model's processor.
            completions: N rows of ids, each (T_n,).
            rows: the prompt of each completion; completions of one prompt stand together.
            batch: completions at a time.
        """
        found = [
            self._standard(self.model(b, SCORES).scores) for b, _ in self._batches(prompts, completions, rows, batch)
        ]
        return torch.cat(found).float().cpu()

    @torch.no_grad()
    def token_scores(
        self, prompts: Sequence[EncodedPrompt], completions: Sequence[Tensor], rows: Sequence[int], batch: int = 64
    ) -> list[Tensor]:
        """Centred and scaled scores after each token of N completions, (T_n, K); the last ones are what `scores` gives.

        Args:
            prompts: as in `scores`.
            completions: as in `scores`.
            rows: as in `scores`.
            batch: completions at a time.
        """
        out = []
        for made, lengths in self._batches(prompts, completions, rows, batch):
            found = self._standard(self.model(made, TOKEN_SCORES).token_scores).float().cpu()
            out += [found[n, 1 : length + 1] for n, length in enumerate(lengths)]
        return out

    def _standard(self, raw: Tensor | None) -> Tensor:
        assert raw is not None, "the model gives what is needed"
        return (raw - self.centre) / self.spread

    def _batches(
        self, prompts: Sequence[EncodedPrompt], completions: Sequence[Tensor], rows: Sequence[int], batch: int
    ) -> Iterator[tuple[Batch, list[int]]]:
        """Batches with the lengths of their completions; a prompt's stay in one where they can: it is computed once."""
        start = 0
        while start < len(rows):
            end = min(start + batch, len(rows))
            while end < len(rows) and end - start < 2 * batch and rows[end] == rows[end - 1]:
                end += 1
            used = sorted(set(rows[start:end]))
            place = {row: i for i, row in enumerate(used)}
            part = completions[start:end]
            placed = [place[row] for row in rows[start:end]]
            made = collate([prompts[row] for row in used], part, placed, self.model.processor.pad_id)
            yield made.to(self.centre.device), [len(ids) for ids in part]
            start = end

    def score_completions(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], encoded: EncodedPrompts
    ) -> Float[Tensor, "N K"]:
        """Scores of completions given as records; those of one prompt are computed together if they stand together.

        Args:
            completions: what to score.
            prompts: by id.
            encoded: prompts as this model reads them.
        """
        return self.scores(*self._read(completions, prompts, encoded))

    @torch.no_grad()
    def features_of_completions(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], encoded: EncodedPrompts
    ) -> Float[Tensor, "N D"]:
        """The trunk's states after completions, which the heads read; arguments as in `score_completions`."""
        read = self._read(completions, prompts, encoded)
        return torch.cat([last_states(self.model.states(b), b).float().cpu() for b, _ in self._batches(*read, 64)])

    def _read(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], encoded: EncodedPrompts
    ) -> tuple[list[EncodedPrompt], list[Tensor], list[int]]:
        """Prompts, ids of completions, and the prompt of each, as `scores` takes them."""
        asked = list(dict.fromkeys(completion.prompt_id for completion in completions))
        place = {name: row for row, name in enumerate(asked)}
        return (
            encoded([prompts[name] for name in asked]),
            [self.model.processor.encode_completion(completion) for completion in completions],
            [place[completion.prompt_id] for completion in completions],
        )

    def summary(
        self, completions: Sequence[Completion], prompts: Mapping[str, Prompt], encoded: EncodedPrompts
    ) -> Summary:
        """Mean, spread and worst of the members' scores of N completions; arguments as in `score_completions`."""
        return Summary.of(self.score_completions(completions, prompts, encoded))

    def fix_scale(self, scores: Float[Tensor, "N K"]) -> None:
        """Make the scores of these completions (made while the scale was 0 and 1) have mean 0 and spread 1."""
        centre, spread = scale_of(scores)
        self.centre.copy_(centre)
        self.spread.fill_(spread)

    def combine(self, scores: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
        """One reward a completion, by `combining`."""
        return self.combining(scores)

    def save(self, folder: Path) -> None:
        """Write a model's folder with the reward model's own parameters beside the weights.

        One with an adapter is written twice: whole, so that the folder stands alone, and as the adapter, for whoever
        has the weights below it in memory already.
        """
        self.model.save(folder)
        if self.model.adapter is not None:
            save_adapter(self.model.trunk, self.model.adapter, folder / ADAPTER)
            (folder / ADAPTER / BELOW).write_text(weights_hash(self.model.trunk) + "\n")
        own = {f"wording.{k}": v.contiguous() for k, v in self.wording.state_dict().items()}
        save_file({**own, "centre": self.centre, "spread": self.spread}, folder / PARAMETERS)
        told = {"annotators": list(self.wording.annotators), "scales": list(self.wording.scales)}
        made = {**asdict(self.config), **asdict(self.combining), **told}
        (folder / CONFIG).write_text(json.dumps(made, indent=2) + "\n")


def is_reward_folder(folder: Path) -> bool:
    """Whether a reward model was saved there."""
    return (folder / CONFIG).exists()


def load_reward_model(folder: Path, beside: Model | None = None, dtype: torch.dtype = torch.float32) -> RewardModel:
    """Read what `RewardModel.save` wrote.

    Args:
        folder: where it lies.
        beside: a model whose weights may be those below the reward model's adapter; then there is one copy of them.
        dtype: of the weights, where they are loaded.

    Raises:
        FileNotFoundError: if the folder holds no reward model.
    """
    if not is_reward_folder(folder):
        raise FileNotFoundError(f"{folder} holds no reward model ({CONFIG} is missing); `harken reward` trains one")
    made = json.loads((folder / CONFIG).read_text())
    wording = Wording(made.pop("annotators"), made.pop("scales"))
    combining = Combining(made.pop("combine"), made.pop("uncertainty"))
    below = folder / ADAPTER / BELOW
    if beside is not None and below.exists() and below.read_text().strip() == weights_hash(beside.trunk):
        name = free_name(beside.trunk, "reward")
        load_adapter(beside.trunk, name, folder / ADAPTER)
        model = beside.beside(name)
        model.load_heads(folder)
    else:
        model = load_model(folder, dtype)
    config = validate(RewardModelConfig, made, CONFIG)
    reward = RewardModel(model, wording, config, combining=combining)
    tensors = read_tensors(folder / PARAMETERS)
    reward.centre.copy_(tensors.pop("centre"))
    reward.spread.copy_(tensors.pop("spread"))
    reward.wording.load_state_dict({k.removeprefix("wording."): v for k, v in tensors.items()})
    return reward.eval()
