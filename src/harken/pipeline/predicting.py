"""A recipe without a language head: its heads learn from prompts' facts, and are judged on held-out prompts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts, refuse_unreadable
from harken.data.seeds import derive
from harken.models.encoders import freeze_encoders
from harken.models.load import load_predictor, weights_dtype
from harken.models.load import speaks as speaks_from
from harken.models.predictor import Predictor
from harken.pipeline.artefact import fresh_folder, write_text
from harken.pipeline.ask import HELD_OUT, write_prompts
from harken.pipeline.head_figures import head_figures
from harken.pipeline.heads_report import write_heads_report
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.run import Run, Stage
from harken.pipeline.settings import ModelConfig
from harken.pipeline.teach import say_never_seen, say_what_is_not_read, workplace
from harken.pipeline.world import World
from harken.train.examples import Table
from harken.train.targets import targets_of
from harken.types import Part, Prompt, Text, modality_of


def speaks(config: ModelConfig) -> bool:
    """Whether the model that a recipe begins with has a language head."""
    return speaks_from(config.path) if config.path is not None else config.family.resolve().language is not None


def stages_of(plain: Mapping[str, Any], reads: tuple[Path, ...]) -> list[Stage]:
    """The stages of a recipe without a language head: learn, be judged, and report.

    Args:
        plain: the recipe as plain data.
        reads: files and folders outside the run that it depends on.

    Raises:
        ValueError: if the recipe asks for what is of language models alone.
    """
    if plain["sft"]["adapter"] is not None:
        raise ValueError("sft.adapter: adapters are for language models; leave it out of a recipe without one")
    settings = {name: plain[name] for name in ("data", "model", "sft")}
    judged = {"data": plain["data"]}
    made = ("sft", "evaluation")
    return [
        Stage("sft", "sft", ("sft",), (), settings, _learn, reads=reads),
        Stage("evaluation", "evaluate", ("evaluation.json", HELD_OUT), ("sft",), judged, _judge, reads=reads),
        Stage("report", "report", ("report.html",), made, dict(plain), write_heads_report, reads=reads),
    ]


def table_of(prompts: Sequence[Prompt], model: Predictor, blobs: Blobs, samples: bool = False) -> Table:
    """Prompts as examples, their facts the targets.

    Args:
        prompts: at least one has each modality that the model has an encoder for.
        model: reads them.
        blobs: where their media lie.
        samples: whether sounds are given as samples besides, for an attack that moves these.

    Raises:
        TargetError: if a fact is none that its head can learn, or a head has no data.
        ValueError: if no prompt has a modality that the model has an encoder for.
    """
    given = {_modality(part) for prompt in prompts for message in prompt.messages for part in message.parts}
    for modality in model.trunk.config.encoders:
        if modality not in given:
            raise ValueError(
                f"encoders.{modality} has no data: none of the {len(prompts)} prompts has {modality}; leave the "
                "encoder out, or give prompts that have it"
            )
    encoded = EncodedPrompts(model.processor, blobs, samples=samples)
    targets = targets_of(prompts, model.trunk.config.head_parts())
    return Table(lambda numbers: encoded([prompts[i] for i in numbers]), targets, len(prompts))


def _modality(part: Part) -> str:
    return "text" if isinstance(part, Text) else modality_of(part)


def _examples(world: World) -> list[Prompt]:
    """All prompts that are not for the test, each once."""
    return list({p.id: p for p in (*(p for p, _ in world.demonstrations), *world.prompts)}.values())


def _learn(run: Run, key: str) -> None:
    config, seed = run.recipe.model, derive(run.recipe.seed, "model")
    say_what_is_not_read(run)
    if config.path is not None:
        model = load_predictor(config.path, weights_dtype(config.dtype))
    else:
        model = new_predictor(config.family, list(run.world.corpus), seed)
    if config.freeze_encoders:
        freeze_encoders(model.trunk)
    heads, attack = model.trunk.config.head_parts(), run.recipe.sft.attack
    samples = attack is not None and attack.moves_samples
    table = table_of(_examples(run.world), model, run.blobs, samples)
    targets_of(run.world.test, heads, needed=False)  # what is wrong in them is said before anything is learnt
    refuse_unreadable(run.world.test, model.processor, run.blobs)
    say_never_seen(run, table.targets, heads)
    learn(model, table, run.recipe.sft, workplace(run, "sft", key))
    with fresh_folder(run.folder / "sft") as folder:
        model.save(folder)


def _judge(run: Run, key: str) -> None:
    model, test = load_predictor(run.folder / "sft", weights_dtype(run.recipe.model.dtype)), list(run.world.test)
    found = head_figures(model, test, run.blobs)
    write_prompts(run, HELD_OUT, test)
    told = {"prompts": len(test), "heads": found, "notices": list(run.world.notices)}
    write_text(run.folder / "evaluation.json", json.dumps(told, indent=1) + "\n")
