"""Attacks against a plain reading in double; what they may move and what they may not; training against them."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from harken.algorithms.cross_entropy import CrossEntropy
from harken.algorithms.multitask import MultiTask
from harken.data.batch import Batch, EncodedPrompt, Outputs, collate_examples
from harken.models.fusion.build import FamilyConfig
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.adversarial import Attack, Attacked, attacked, refuse_unseen
from harken.train.examples import Table
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import DemonstrationsConfig

OBJECTIVE = MultiTask({"kind": CrossEntropy()})
LOUD = "input_features"


class Tiny(nn.Module):
    """Two layers over whatever pictures or sounds there are."""

    def __init__(self, size: int = 12, classes: int = 3, norm: bool = False):
        super().__init__()
        torch.manual_seed(0)
        middle: nn.Module = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.layers = nn.Sequential(nn.Linear(size, 8), middle, nn.Tanh(), nn.Linear(8, classes))

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        media = next(batch.prompts.media[name] for name in ("pixel_values", LOUD) if name in batch.prompts.media)
        if not media.is_floating_point():
            media = media / 255
        states = media.flatten(1).to(self.layers[0].weight.dtype)
        return Outputs(heads={"kind.logits": self.layers(states)})


def batch_of(media: torch.Tensor, name: str = "pixel_values", **more: torch.Tensor) -> Batch:
    tensors = {name: media, **more}
    each = [
        EncodedPrompt(torch.tensor([5]), {}, {key: rows[i : i + 1] for key, rows in tensors.items()})
        for i in range(len(media))
    ]
    return collate_examples(each, 0, {"kind": torch.arange(len(media)) % 3})


def pictures(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 2, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def loss_of(module: nn.Module, batch: Batch) -> float:
    return float(OBJECTIVE.loss(module(batch, OBJECTIVE.needs), batch).value.detach())


def moved(module: nn.Module, batch: Batch, attack: Attack, seed: int = 0) -> torch.Tensor:
    made = attacked(module, OBJECTIVE, batch, attack, torch.Generator().manual_seed(seed))
    return made.prompts.media[next(iter(attack.radius))]


def plainly(module: nn.Module, batch: Batch, attack: Attack, seed: int) -> torch.Tensor:
    """PGD one number at a time: gradients by central differences, the ball and the bounds by comparison."""
    clean = batch.prompts.media["pixel_values"]
    radius, steps = attack.radius["pixel_values"], attack.steps
    length = 1.0 if steps == 1 else 2.5 / steps
    now = clean.clone()
    if steps > 1:
        noise = torch.rand(clean.shape, generator=torch.Generator().manual_seed(seed))
        now = (clean + radius * (2 * noise.double() - 1)).clamp(0, 1)
    for _ in range(steps):
        signs = torch.zeros_like(now)
        for place in range(now.numel()):
            said = []
            for way in (1e-6, -1e-6):
                other = now.clone()
                other.view(-1)[place] += way
                said.append(loss_of(module, batch_of(other)))
            signs.view(-1)[place] = (said[0] > said[1]) - (said[0] < said[1])
        for place in range(now.numel()):
            value = float(now.view(-1)[place] + length * radius * signs.view(-1)[place])
            value = min(max(value, float(clean.view(-1)[place]) - radius), float(clean.view(-1)[place]) + radius)
            now.view(-1)[place] = min(max(value, 0.0), 1.0)
    return now


@pytest.mark.parametrize("steps", [1, 3])
def test_the_plain_reading(steps):
    module, batch = Tiny().double().eval(), batch_of(pictures(4))
    attack = Attack({"pixel_values": 0.1}, steps=steps)
    expected = plainly(module, batch, attack, 7)
    assert (moved(module, batch, attack, 7) - expected).abs().max() < 1e-9


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("norm", ["inf", "snr"])
def test_it_stays_in_the_ball_and_in_bounds_and_raises_the_loss_more_than_noise_does(steps, norm):
    module, clean = Tiny().double().eval(), pictures()
    batch, attack = batch_of(clean), Attack({"pixel_values": 0.08}, steps=steps, norm=norm)
    found = moved(module, batch, attack)
    away = found - clean
    if norm == "inf":
        assert away.abs().max() <= 0.08 + 1e-12
    else:
        ratio = away.flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
        assert ratio.max() <= 0.08 + 1e-12
    assert found.min() >= 0 and found.max() <= 1
    signs = torch.randint(0, 2, clean.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    noisy = (clean + away.abs() * signs).clamp(0, 1)
    assert loss_of(module, batch_of(found)) > loss_of(module, batch_of(noisy))
    assert loss_of(module, batch_of(found)) > loss_of(module, batch)


def test_fgsm_is_one_signed_step_of_the_radius():
    module, clean = Tiny().double().eval(), pictures()
    leaf = clean.clone().requires_grad_()
    batch = batch_of(clean)
    loss = OBJECTIVE.loss(module(batch_of(leaf), OBJECTIVE.needs), batch).value
    (gradient,) = torch.autograd.grad(loss, leaf)
    expected = (clean + 0.05 * gradient.sign()).clamp(0, 1)
    assert torch.equal(moved(module, batch, Attack({"pixel_values": 0.05})), expected)


def test_an_snr_is_exactly_that_of_what_is_real():
    """A sound of two thirds of the batch's frames: its filling is neither moved nor counted."""
    module, sounds = Tiny(24).eval(), torch.randn(4, 4, 6, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6, 4, 6, 1])
    real = (torch.arange(6) < lengths[:, None])[:, None].float()
    batch = batch_of(sounds, LOUD, feature_lengths=lengths)
    away = moved(module, batch, Attack({LOUD: 0.01}, norm="snr")) - sounds
    assert torch.equal(away * (1 - real), torch.zeros_like(away))
    decibels = 20 * ((sounds * real).flatten(1).norm(dim=1) / away.flatten(1).norm(dim=1)).log10()
    assert (decibels - 40).abs().max() < 1e-2
    each = moved(module, batch, Attack({LOUD: 0.5})) - sounds
    assert torch.equal(each * (1 - real), torch.zeros_like(each))
    assert each.abs().max() == pytest.approx(0.5, abs=1e-6)
    assert float(sounds.min()) < 0, "no bounds but those of pictures stand by default"


def test_a_gradient_too_small_to_square_still_points():
    class Faint(Tiny):
        def forward(self, batch, needs):
            return Outputs(heads={"kind.logits": super().forward(batch, needs).heads["kind.logits"] * 1e-25})

    clean = pictures().float()
    found = moved(Faint().eval(), batch_of(clean), Attack({"pixel_values": 0.01}, norm="snr", low={}, high={}))
    ratio = (found - clean).flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
    assert ratio.tolist() == pytest.approx([0.01] * 6, rel=1e-4)


def test_whole_numbers_are_pixels_of_255():
    module = Tiny().eval()
    whole = torch.randint(0, 256, (6, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    attack = Attack({"pixel_values": 4 / 255}, steps=3)
    found = moved(module, batch_of(whole), attack)
    assert found.dtype == torch.float32
    assert (found - whole / 255).abs().max() <= 4 / 255 + 1e-6
    assert torch.equal(found, moved(module, batch_of(whole / 255), attack))


def test_a_batch_without_the_medium_is_as_it_was():
    batch = batch_of(torch.rand(3, 4, 3), LOUD)
    assert attacked(Tiny().eval(), OBJECTIVE, batch, Attack({"pixel_values": 0.1})) is batch


def test_a_medium_that_the_loss_does_not_read_stays():
    batch = batch_of(pictures(), input_features=torch.rand(6, 2, 3))
    made = attacked(Tiny().double().eval(), OBJECTIVE, batch, Attack({"pixel_values": 0.1, LOUD: 0.1}))
    assert torch.equal(made.prompts.media[LOUD], batch.prompts.media[LOUD])
    assert not torch.equal(made.prompts.media["pixel_values"], batch.prompts.media["pixel_values"])


def test_media_outside_the_bounds_and_media_that_are_no_numbers_are_refused():
    module = Tiny().eval()
    with pytest.raises(ValueError, match=r"pixel_values go from .* outside attack\.low and attack\.high"):
        moved(module, batch_of(pictures() * 3 - 1), Attack({"pixel_values": 0.1}))
    with pytest.raises(ValueError, match=r"attack\.radius\.pixel_values: torch\.int64 are no numbers"):
        moved(module, batch_of(torch.zeros(2, 12).long()), Attack({"pixel_values": 0.1}))
    wide = Attack({"pixel_values": 0.1}, low={"pixel_values": -1.0}, high={"pixel_values": 2.0})
    assert moved(module, batch_of(pictures() * 3 - 1), wide).max() <= 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"radius": {}}, r"attack\.radius"),
        ({"radius": {"pixel_values": 0.0}}, r"attack\.radius"),
        ({"radius": {"pixel_values": float("nan")}}, r"attack\.radius"),
        ({"steps": 0}, r"attack\.steps"),
        ({"step": -1.0}, r"attack\.step"),
        ({"share": 1.5}, r"attack\.share"),
    ],
)
def test_settings_that_make_no_attack(wrong, words):
    with pytest.raises(ValueError, match=words):
        Attack(**{"radius": {"pixel_values": 0.1}, **wrong})


def test_what_no_prompt_has_is_refused():
    encoded = [EncodedPrompt(torch.tensor([1]), {}, {"pixel_values": torch.rand(1, 1, 2, 2)})] * 3
    refuse_unseen(Attack({"pixel_values": 0.1}), encoded)
    with pytest.raises(ValueError, match=r"attack\.radius\.pixel_value: no prompt .*there are pixel_values"):
        refuse_unseen(Attack({"pixel_value": 0.1}), encoded)
    for name, known in (("text_ids", "there are text_embeddings"), ("sizes", "nothing that can be moved")):
        whole = [EncodedPrompt(torch.tensor([1]), {}, {name: torch.ones(1, 2).long()})]
        with pytest.raises(ValueError, match=known):
            refuse_unseen(Attack({name: 0.1}), whole)


def test_the_same_seed_gives_the_same_bits():
    module, batch, attack = Tiny().eval(), batch_of(pictures().float()), Attack({"pixel_values": 0.1}, steps=4)
    assert torch.equal(moved(module, batch, attack, 5), moved(module, batch, attack, 5))
    assert not torch.equal(moved(module, batch, attack, 5), moved(module, batch, attack, 6))


def test_weights_have_no_gradient_of_the_attack_and_parts_keep_their_modes():
    module = Tiny(norm=True).train()
    module.layers[3].eval()
    before = [part.training for part in module.modules()]
    attacked(module, OBJECTIVE, batch_of(pictures().float()), Attack({"pixel_values": 0.1}, steps=2))
    assert all(parameter.grad is None for parameter in module.parameters())
    assert [part.training for part in module.modules()] == before
    assert module.layers[1].num_batches_tracked == 0


def test_batch_norms_see_each_batch_once_and_as_it_is_learnt_from():
    inner = Tiny(norm=True)
    module = Attacked(inner, OBJECTIVE, Attack({"pixel_values": 0.1}, steps=5)).train()
    batch = batch_of(pictures().float())
    torch.manual_seed(3)
    made = attacked(inner, OBJECTIVE, batch, module.attack)
    torch.manual_seed(3)
    module(batch, OBJECTIVE.needs)
    norm = inner.layers[1]
    states = inner.layers[0](made.prompts.media["pixel_values"].flatten(1))
    assert norm.num_batches_tracked == 1
    torch.testing.assert_close(norm.running_mean, 0.1 * states.mean(0))


def test_a_share_of_the_media_is_moved_in_training_and_none_in_use():
    inner, seen = Tiny(), []
    inner.register_forward_hook(lambda _, given, __: seen.append(given[0].prompts.media["pixel_values"].detach()))
    module = Attacked(inner, OBJECTIVE, Attack({"pixel_values": 0.1}, share=0.25))
    clean = torch.rand(400, 3, 2, 2)
    torch.manual_seed(0)
    module.train()(batch_of(clean), OBJECTIVE.needs)
    whole = (seen[-1] != clean).flatten(1)
    assert 0.15 < float(whole.any(1).float().mean()) < 0.35
    module.eval()(batch_of(clean), OBJECTIVE.needs)
    assert torch.equal(seen[-1], clean)


@dataclass
class Planted:
    """Grey pictures with two clues: a faint one in every pixel, a strong one in a corner that is sometimes wrong."""

    table: Table
    config: SftConfig
    family: FamilyConfig

    def robust(self, attack: Attack | None) -> float:
        """How often a model that learnt so is right under PGD."""
        model = learn(new_predictor(self.family, ["a"], 0), self.table, replace(self.config, attack=attack))
        batch = self.table.batch_of(range(200), model.processor.pad_id)
        objective = MultiTask({"kind": CrossEntropy()})
        hard = Attack({"pixel_values": 0.1}, steps=8)
        made = attacked(model, objective, batch, hard, torch.Generator().manual_seed(0))
        said = model(made, objective.needs).heads["kind.logits"].argmax(1)
        return float((said == batch.labels["kind"]).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_training_against_it_holds_under_it(norm):
    image = {
        "name": "cnn",
        "height": 5,
        "width": 5,
        "stem": 8,
        "widths": (16,),
        "depth": 0,
        "norm": norm,
        "pool": "max",
    }
    family = FamilyConfig(
        encoders={"image": {**image, "pixel_mean": 0.5, "pixel_std": 0.1}},
        fuse={"name": "concatenation", "width": 16},
        heads={"kind": {"name": "classify", "classes": 2}},
    )
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randint(0, 2, (400,), generator=generator)
    ways = (2 * kinds - 1).float()[:, None, None, None]
    pixels = 0.5 + 0.05 * ways + 0.01 * torch.randn(400, 1, 5, 5, generator=generator)
    wrong = torch.rand(400, 1, 1, 1, generator=generator) < 0.3
    pixels[:, :, :2, :2] += torch.where(wrong, -0.3, 0.3) * ways
    image_id = new_predictor(family, ["a"], 0).processor.placeholders["image"]
    each = [
        EncodedPrompt(torch.tensor([image_id]), {}, {"pixel_values": picture[None].clamp(0, 1)}, {"image": 1})
        for picture in pixels
    ]
    table = Table(lambda numbers: [each[i] for i in numbers], {"kind": kinds}, 400)
    how = OptimizerConfig(rate=1e-2, muon_rate=0.0, warmup=0)
    planted = Planted(table, SftConfig(DemonstrationsConfig(40, 64), how), family)
    without, against = planted.robust(None), planted.robust(Attack({"pixel_values": 0.1}, steps=2))
    assert against > 0.6
    assert against > without + 0.3
