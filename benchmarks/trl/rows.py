"""What is measured: the rows of the table, and the ratios to reach. Standard library only."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

Method = Literal["grpo", "rloo", "ppo", "dpo", "dpo_lora", "sft", "rollout"]
SAMPLED = ("grpo", "rloo", "ppo", "rollout")
"""Methods whose completions the policy writes; the others are given them."""
SMALL, LARGE = 2_048, 151_936
"""Vocabularies."""


@dataclass(frozen=True)
class Row:
    """One step, as both sides do it.

    Attributes:
        name: its key in the table.
        method: which trainer.
        ratio: TRL's time over harken's, to be reached; None where nothing is promised.
        aim: the same, hoped for.
        memory: the largest share of TRL's peak memory; None where nothing is promised.
        prompts: prompts a step; pairs of one prompt each for DPO, demonstrations for SFT.
        group: completions a prompt, where the policy writes them.
        prompt_tokens: tokens of each prompt, its 64 image tokens included.
        new_tokens: tokens of each completion, its end-of-turn token included where it is given.
        vocabulary: entries of the embedding.
        alone: harken only; there is no peer left to race.
        steps: measured steps, where they take so long that fewer must do.
    """

    name: str
    method: Method
    ratio: float | None = None
    aim: float | None = None
    memory: float | None = None
    prompts: int = 4
    group: int = 8
    prompt_tokens: int = 130
    new_tokens: int = 32
    vocabulary: int = SMALL
    alone: bool = False
    steps: int | None = None

    def to_json(self) -> str:
        """The row as text, for another process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Row":
        """What `to_json` wrote."""
        return Row(**json.loads(text))


ROWS = (
    Row("grpo", "grpo", 4.0, 7.0),
    Row("grpo_512", "grpo", 5.0, 7.0, prompt_tokens=512),
    Row("rloo", "rloo", 5.0, 9.0),
    Row("dpo", "dpo", 1.7, 2.5, prompts=16),
    Row("dpo_lora", "dpo_lora", 2.5, 4.0, prompts=16),
    Row("sft", "sft", 1.2, 1.5, prompts=16),
    Row("rollout", "rollout", 2.0, 2.7),
    Row("grpo_large", "grpo", memory=0.6, vocabulary=LARGE, steps=2),
    Row("ppo", "ppo", alone=True),
)
SWEEP_GROUPS = (2, 4, 8, 16)
SWEEP_LENGTHS = (128, 512, 2_048)


def sweep_rows(prompts: int) -> tuple[Row, ...]:
    """GRPO at each size of group and length of prompt."""
    return tuple(
        Row(f"grpo_g{group}_t{length}", "grpo", prompts=prompts, group=group, prompt_tokens=length)
        for group in SWEEP_GROUPS
        for length in SWEEP_LENGTHS
    )


def chosen_rows(only: str) -> tuple[Row, ...]:
    """The rows that a comma-separated list names; all of them if it is empty.

    Raises:
        ValueError: if there is no row of a name.
    """
    if not only:
        return ROWS
    known = {row.name: row for row in ROWS}
    unknown = [name for name in only.split(",") if name not in known]
    if unknown:
        raise ValueError(f"there is no row {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in only.split(","))
