"""A model without a language head learns from examples with targets: classes, numbers, what belongs together."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from harken.data.processor import Processor
from harken.data.tensors import bytes_of
from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.model import FusionForPrediction
from harken.models.predictor import Predictor
from harken.pipeline.artefact import digest
from harken.pipeline.roles import fingerprint
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.adversarial import in_training_against, refuse_unseen
from harken.train.examples import Examples, Table
from harken.train.loop import Fit, fit
from harken.train.stopping import held_out, held_out_likelihood
from harken.train.tasks import learns_from_targets, refuse_parts_of_one, tasks_of


def new_predictor(family: FamilyConfig, corpus: list[str], seed: int) -> Predictor:
    """A model without a language head, with random weights.

    Raises:
        PartError: if the family has a language head.
    """
    trunk, processor = build(family, corpus, seed)
    if not isinstance(trunk, FusionForPrediction):
        raise parts.PartError("heads has a language head; what predicts from examples alone has none")
    return Predictor(trunk, Processor(processor))


def contents_of(table: Table) -> str:
    """SHA-256 of all examples: their tokens, media and targets."""
    out = hashlib.sha256()

    def add(name: str, tensor: Tensor) -> None:
        out.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        out.update(bytes_of(tensor))

    for name, rows in sorted(table.targets.items()):
        add(name, rows)
    for number in range(table.count):
        (prompt,) = table.encoding([number])
        add("", prompt.ids)
        for name, tensor in sorted(prompt.media.items()):
            add(name, tensor)
    return out.hexdigest()


def learn(model: Predictor, table: Table, config: SftConfig, at: Workplace | None = None) -> Predictor:
    """Train a model in place on examples; goes on from a checkpoint of the same training in `at.folder`.

    Args:
        model: what is trained.
        table: the examples.
        config: how.
        at: where to work, and the seed.

    Raises:
        ValueError: if a head that needs targets has none in any example, or media should be moved that no example has.
    """
    at = at or Workplace(stage="learn")
    heads = model.trunk.config.head_parts()
    for name, head in heads.items():
        if learns_from_targets(head) and name not in table.targets:
            raise ValueError(
                f"heads.{name} has no data: none of the {table.count} examples has a target {name!r}; give them one in "
                f"facts.{name}, or leave the head out"
            )
    refuse_parts_of_one(heads, config.data.batch // config.data.accumulate)
    objective = tasks_of(heads)
    module = in_training_against(model, objective, config.attack)
    if config.attack is not None:
        refuse_unseen(config.attack, (table.encoding([i])[0] for i in range(table.count)))
    pad_id = model.processor.pad_id
    unseen, learnt = held_out(range(table.count), str, config.stopping, at.seed)
    measure = None
    if unseen:
        apart = table.part(list(unseen))
        measure = held_out_likelihood(
            model, objective, lambda some: apart.batch_of(some, pad_id), apart.count, config.data.batch
        )
    source = Examples(table.part(list(learnt)) if unseen else table, config.data, at.seed, pad_id, config.change)
    if at.folder is not None and not at.key:
        at = replace(at, key=digest([at.stage, at.seed, repr(config), contents_of(table), fingerprint(model)]))
    with tempfile.TemporaryDirectory() as scratch:
        folder = at.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        how = Fit(folder, at.stage, at.key, at.seed, config.optimizer, at.log or folder / "metrics.jsonl", **at.options)
        fit(module, source, objective, replace(how, stopping=config.stopping, measure=measure))
    return model.eval()
