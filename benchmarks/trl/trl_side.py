"""TRL's side of a row: its own trainer, set as a careful user would on a CPU.

fp32; the step's whole batch at once; no gradient checkpointing (it saves memory for about a fifth of the time), no
logging, saving, evaluating, progress bar or tracker; loader in this process; AdamW (fused) at the rate and betas that
harken has, clipped at 1, constant rate. Generation is transformers' `generate` as the trainer calls it, without top-k
or top-p; `min_new_tokens` keeps the end of turn away until all tokens are there. GRPO has its defaults of loss, one
iteration, and thus no old log-probabilities to compute; RLOO and DPO have the reference model that the trainer makes
itself, and with LoRA the policy without its adapter. DPO refuses to compute a reference's log-probabilities in advance
where there are pictures.

A step goes from the end of the step before it to `on_step_end`: generation and the collator's work are in it. What
lies between `on_step_begin` and `on_step_end` alone is said too (`inner`).
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, List, Value
from datasets import Image as ImageFeature
from peft import LoraConfig
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    Trainer,
    TrainerCallback,
)
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer, SFTConfig, SFTTrainer

from benchmarks.trl.prompts import Item, items
from benchmarks.trl.rows import SAMPLED, Row
from benchmarks.trl.settings import BETA2, DPO_BETA, LORA_ALPHA, LORA_RANK, RATE, RLOO_BETA
from benchmarks.trl.turns import Turns, fingerprint

LORA_LAYERS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


class Pacing(TrainerCallback):
    """Waits for its turn behind each step."""

    def __init__(self, turns: Turns, steps: int, tokens: str):
        self.turns, self.steps, self.tokens = turns, steps, tokens
        self.begun = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.turns.ready(self.steps, self.tokens)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.turns.step_done(inner=time.perf_counter() - self.begun)


class Distinct:
    """The reward: the share of different tokens in a completion, less 1. Sees that no completion is short."""

    __name__ = "distinct"

    def __init__(self, new_tokens: int):
        self.new_tokens = new_tokens

    def __call__(self, completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        lengths = {len(ids) for ids in completion_ids}
        if lengths != {self.new_tokens}:
            raise ValueError(f"completions should have {self.new_tokens} tokens, and have {sorted(lengths)}")
        return [len(set(ids)) / len(ids) - 1 for ids in completion_ids]


def dataset(row: Row, data: Sequence[Item]) -> Dataset:
    """What the trainer reads, in TRL's conversational format with a column of pictures."""

    def turn(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    records = []
    for one in data:
        record: dict[str, Any] = {
            "prompt": turn("user", one.text),
            "images": [Image.fromarray(one.picture)],
        }
        if row.method.startswith("dpo"):
            record |= {"chosen": turn("assistant", one.chosen), "rejected": turn("assistant", one.rejected)}
        if row.method == "sft":
            record["completion"] = turn("assistant", one.chosen)
        records.append(record)
    messages = List({"role": Value("string"), "content": Value("string")})
    features = {name: List(ImageFeature()) if name == "images" else messages for name in records[0]}
    return Dataset.from_list(records, features=Features(features))


def arguments(folder: str, steps: int, batch: int) -> dict[str, Any]:
    """What is set alike for all trainers."""
    return {
        "output_dir": folder,
        "max_steps": steps,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": 1,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "adam_beta1": 0.9,
        "adam_beta2": BETA2,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "logging_strategy": "no",
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def sampling(row: Row) -> dict[str, Any]:
    """What is set alike for the trainers that sample."""
    return {
        "num_generations": row.group,
        "max_completion_length": row.new_tokens,
        "generation_kwargs": {"min_new_tokens": row.new_tokens},
    }


def make_trainer(row: Row, model: PreTrainedModel, processor: ProcessorMixin, data: Dataset, given: dict) -> Any:
    """The trainer of a row's method."""
    rest = {"train_dataset": data, "processing_class": processor}
    match row.method:
        case "grpo" | "rollout":
            args = GRPOConfig(**given, **sampling(row), beta=0.0)
            return GRPOTrainer(model, reward_funcs=Distinct(row.new_tokens), args=args, **rest)
        case "rloo":
            args = RLOOConfig(**given, **sampling(row), beta=RLOO_BETA)
            return RLOOTrainer(model, reward_funcs=Distinct(row.new_tokens), args=args, **rest)
        case "dpo":
            return DPOTrainer(model, args=DPOConfig(**given, beta=DPO_BETA, max_length=None), **rest)
        case "dpo_lora":
            lora = LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=LORA_LAYERS)
            args = DPOConfig(**given, beta=DPO_BETA, max_length=None)
            return DPOTrainer(model, args=args, peft_config=lora, **rest)
        case "sft":
            return SFTTrainer(model, args=SFTConfig(**given, max_length=None), **rest)
    raise ValueError(f"TRL has no trainer for {row.method}")


def token_rows(row: Row, trainer: Any) -> Iterable[list[int]]:
    """The ids of each row as the trainer feeds them to the model, padding left out."""
    if row.method in SAMPLED:
        return [ids for example in trainer.train_dataset for ids in trainer._tokenize_prompts(_asked([example]))[0]]
    out = []
    for example in trainer.train_dataset:
        made = trainer.data_collator([example])
        masks = made["attention_mask"].bool()
        out += [ids[mask].tolist() for ids, mask in zip(made["input_ids"], masks, strict=True)]
    return out


def _asked(examples: Sequence[dict[str, Any]]) -> list[Any]:
    """Prompts with their pictures in place, as GRPOTrainer puts them there."""
    return [
        [{"role": "user", "content": [{"type": "image", "image": one["images"][0]}, _words(one)]}] for one in examples
    ]


def _words(example: dict[str, Any]) -> dict[str, str]:
    return {"type": "text", "text": example["prompt"][0]["content"]}


def roll_out(row: Row, trainer: Any, turns: Turns, steps: int, tokens: str) -> None:
    """Sampling alone: prompts are tokenised before, the time is that of `generate` as the trainer calls it."""
    asked = []
    for step in range(steps):
        examples = [trainer.train_dataset[step * row.prompts + i] for i in range(row.prompts)]
        asked.append(trainer._tokenize_prompts(_asked([one for one in examples for _ in range(row.group)])))
    turns.ready(steps, tokens)
    for prompt_ids, images, fields in asked:
        completions, _ = trainer._generate_single_turn(prompt_ids, images, fields, row.group)
        Distinct(row.new_tokens)(completions)
        turns.step_done()


def run(row: Row, folder: Path, steps: int, turns: Turns) -> None:
    """Do a row's steps, each when its turn has come."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    batch = row.prompts * row.group if row.method in SAMPLED else row.prompts
    with tempfile.TemporaryDirectory() as place:
        data = dataset(row, items(row, steps))
        trainer: Trainer = make_trainer(row, model, processor, data, arguments(place, steps, batch))
        tokens = fingerprint(token_rows(row, trainer))
        if row.method == "rollout":
            roll_out(row, trainer, turns, steps, tokens)
        else:
            trainer.add_callback(Pacing(turns, steps, tokens))
            trainer.train()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    turns = Turns()
    torch.set_num_threads(given.threads)
    run(Row.from_json(given.row), given.model, given.steps, turns)


if __name__ == "__main__":
    main()
