"""Attacks on embeddings: the ball, the loss that rises, training against it, to the same bits; what is refused."""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from harken.algorithms.sft import SFT
from harken.data.batch import Batch, collate
from harken.data.blobs import Blobs
from harken.models.embeddings import EMBEDDINGS, REAL, TEXT, TOKENS
from harken.models.fusion.build import FamilyConfig
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.adversarial import Attack, attacked, in_training_against, reading_what_moves
from harken.train.examples import Table
from harken.train.optimizers import OptimizerConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import DemonstrationsConfig
from harken.train.tasks import tasks_of
from harken.types import Message, Prompt, Text

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import tiny_model

KINDS = (("red", "warm", "fire"), ("blue", "cold", "ice"), ("green", "leaf", "tree"))
FILLERS = ("the", "a", "some", "very", "old", "new", "near", "far")
COUNT = 24
TENTH = Attack({TEXT: 0.1}, norm="snr")


def spoken() -> list[Prompt]:
    """One word says the kind, others stand around it; texts of different length."""
    chance, out = torch.Generator().manual_seed(0), []
    for n in range(COUNT):
        told = KINDS[n % 3][n // 3 % 3]
        around = [FILLERS[i] for i in torch.randint(len(FILLERS), (2 + n % 4,), generator=chance).tolist()]
        out.append(Prompt(f"t{n}", (Message("user", (Text(" ".join([around[0], told, *around[1:]])),)),)))
    return out


def predictor(seed: int = 0, name: str = "gru") -> Predictor:
    text = {"name": "words", "dimensions": 12} if name == "words" else {"name": name, "hidden": 12}
    heads = {"kind": {"name": "classify", "classes": 3}}
    corpus = [prompt.messages[0].parts[0].text for prompt in spoken()]
    return new_predictor(FamilyConfig({"text": text}, {"name": "joined", "layers": 0, "width": 8}, heads), corpus, seed)


def table(model: Predictor) -> Table:
    with TemporaryDirectory() as folder:
        each = [model.processor.encode(prompt, Blobs(Path(folder))) for prompt in spoken()]
    return Table(lambda numbers: [each[i] for i in numbers], {"kind": torch.arange(COUNT) % 3}, COUNT)


def batch_of(model: Predictor) -> Batch:
    return table(model).batch_of(range(COUNT), model.processor.pad_id)


def taught(attack: Attack | None, steps: int = 40, at: Workplace | None = None) -> Predictor:
    model = predictor()
    rate = OptimizerConfig(rate=0.02, muon_rate=0.0, warmup=0)
    return learn(model, table(model), SftConfig(DemonstrationsConfig(steps, batch=12), rate, attack=attack), at)


def loss_of(module: torch.nn.Module, model: Predictor, batch: Batch) -> float:
    objective = tasks_of(model.trunk.config.head_parts())
    return float(objective.loss(module(batch, objective.needs), batch).value.detach())


def moved(model: Predictor, attack: Attack) -> tuple[torch.nn.Module, Batch, Batch]:
    """What reads embeddings, the batch laid open, and the same attacked."""
    module = reading_what_moves(model, attack).eval()
    objective, clean = tasks_of(model.trunk.config.head_parts()), module.laid_open(batch_of(model))
    return module, clean, attacked(module, objective, batch_of(model), attack, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["gru", "transformer", "words"])
@pytest.mark.parametrize("steps", [1, 4])
def test_each_text_is_moved_by_a_share_of_itself_and_the_loss_rises_more_than_noise_raises_it(steps, name):
    module, clean, after = moved(model := predictor(name=name), replace(TENTH, steps=steps))
    before, real = clean.prompts.media[TEXT], clean.prompts.media[TEXT + REAL][..., None]
    away = after.prompts.media[TEXT] - before
    assert torch.equal(away * ~real, torch.zeros_like(away)), "filling is not moved"
    ratio = away.flatten(1).norm(dim=1) / (before * real).flatten(1).norm(dim=1)
    assert ratio.max() <= 0.1
    assert ratio.min() > 0.09
    noise = torch.randn(away.shape, generator=torch.Generator().manual_seed(1)) * real
    noise *= (away.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1))[:, None, None]
    noisy = replace(clean, prompts=replace(clean.prompts, media={**clean.prompts.media, TEXT: before + noise}))
    plain, hard = loss_of(module, model, clean), loss_of(module, model, after)
    assert hard > plain
    assert hard > loss_of(module, model, noisy) + 0.5 * (hard - plain)


def test_one_step_is_the_papers():
    """1605.07725, equation 6: as far as the radius along the gradient of each text, which is normalised."""
    module, clean, after = moved(model := predictor(), TENTH)
    objective = tasks_of(model.trunk.config.head_parts())
    leaf = clean.prompts.media[TEXT].clone().requires_grad_()
    asked = replace(clean, prompts=replace(clean.prompts, media={**clean.prompts.media, TEXT: leaf}))
    (gradient,) = torch.autograd.grad(objective.loss(module(asked, objective.needs), asked).value, leaf)
    for row, length in enumerate(clean.prompts.media["text_lengths"].tolist()):
        words, g = clean.prompts.media[TEXT][row, :length], gradient[row, :length]
        expected = words + 0.1 * words.norm() * g / g.norm()
        assert torch.allclose(after.prompts.media[TEXT][row, :length], expected, atol=1e-5)


@pytest.mark.slow
def test_what_is_learnt_from_moved_words_holds_under_them():
    """Trained alike but for the attack: the one that practised is right under PGD where the other is not."""
    right = {}
    for name, attack in (("plain", None), ("practised", Attack({TEXT: 0.35}, steps=2, norm="snr"))):
        model = taught(attack, 100)
        module, clean, after = moved(model, Attack({TEXT: 0.35}, steps=8, norm="snr"))
        for what, batch in (("clean", clean), ("attacked", after)):
            with torch.no_grad():
                said = module(batch, frozenset({"heads"})).heads["kind.logits"].argmax(1)
            right[name, what] = float((said == batch.labels["kind"]).float().mean())
    assert right["plain", "clean"] == right["practised", "clean"] == 1.0
    assert right["plain", "attacked"] < 0.4
    assert right["practised", "attacked"] > 0.6


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bits(tmp_path):
    class Killed(Exception):
        pass

    def kill(step: int, *_: object) -> None:
        if step == 5:
            raise Killed

    attack = replace(TENTH, steps=2, share=0.5)
    whole = taught(attack, 8, Workplace(Blobs(tmp_path), 3, tmp_path / "whole"))
    with pytest.raises(Killed):
        taught(
            attack, 8, Workplace(Blobs(tmp_path), 3, tmp_path / "cut", options={"on_step": kill, "checkpoint_every": 2})
        )
    again = taught(attack, 8, Workplace(Blobs(tmp_path), 3, tmp_path / "cut", options={"checkpoint_every": 2}))
    for name, weight in whole.trunk.state_dict().items():
        assert torch.equal(weight, again.trunk.state_dict()[name]), name


def asked(model: Model) -> Batch:
    with TemporaryDirectory() as folder:
        encoded = [model.processor.encode(prompt, Blobs(Path(folder))) for prompt in spoken()[:4]]
    ids = [torch.tensor(model.processor.encode_text(answer)) for answer in ("It is 42.", "7", "No.", "It is 8.")]
    return collate(encoded, ids, range(4), model.processor.pad_id)


def test_a_policy_learns_from_moved_prompts_and_its_table_does_too():
    """The loss is that of the moved prompts, and the gradient of their words reaches the table."""
    model, attack = tiny_model(), Attack({TOKENS: 0.2}, norm="snr")
    module, batch = in_training_against(model, SFT(), attack), asked(model)
    plain = SFT().loss(model(batch, SFT.needs), batch).value
    hard = SFT().loss(module.train()(batch, SFT.needs), batch).value
    assert hard > plain
    hard.backward()
    gradient = model.trunk.get_input_embeddings().weight.grad
    told = set(batch.prompts.ids[batch.prompts.mask].tolist()) - set(batch.completions.ids.flatten().tolist())
    assert gradient[sorted(told)].abs().sum(1).min() > 0
    module.eval()
    assert torch.equal(SFT().loss(module(batch, SFT.needs), batch).value, plain)


def test_only_a_share_of_the_texts_is_moved():
    model, attack = predictor(), replace(TENTH, share=0.5)
    module = in_training_against(model, tasks_of(model.trunk.config.head_parts()), attack).train()
    seen: list[torch.Tensor] = []
    hook = module.module.register_forward_pre_hook(lambda _, args: seen.append(args[0].prompts.media[TEXT]))
    torch.manual_seed(0)
    module(batch_of(model), frozenset({"heads"}))
    hook.remove()
    clean = module.module.laid_open(batch_of(model)).prompts.media[TEXT]
    untouched = (seen[-1] == clean).flatten(1).all(1)
    assert 0 < int(untouched.sum()) < COUNT


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_a_policy_under_reinforcement_is_asked_in_words_and_not_in_embeddings(name):
    with pytest.raises(ValueError, match=rf"rollout\.attack\.radius: {name} .*rollout\.perturb"):
        RolloutConfig(attack=Attack({name: 0.1}))


def test_prompts_without_words_have_no_embeddings_to_move():
    model = predictor()
    silent = [replace(e, media={}, placeholders={}) for e in table(model).encoding(range(COUNT))]
    bare = Table(lambda numbers: [silent[i] for i in numbers], {"kind": torch.arange(COUNT) % 3}, COUNT)
    with pytest.raises(ValueError, match=r"attack\.radius\.text_embeddings: no prompt has"):
        learn(model, bare, SftConfig(DemonstrationsConfig(2, batch=12), attack=TENTH))
