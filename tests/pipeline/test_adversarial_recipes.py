"""What a recipe says of attacks on samples and of adversarial prompts: read, refused where it cannot be, and done."""

import sys
from pathlib import Path

import pytest

from harken.data.augment.words.wording import Wording
from harken.demo.recipe import recipe_file
from harken.pipeline.recipe import RecipeError, read_recipe, resolved
from harken.train.metrics_log import read_metrics

sys.path.insert(0, str(Path(__file__).parent))

from shades import AUDIO, IMAGE, SPEAKING, prepared, run

SAMPLES = {"radius": {"samples": 0.01, "pixel_values": 0.01}, "norm": {"samples": "snr"}}
STEPS = {"data": {"steps": 3, "batch": 6}}


@pytest.mark.slow
def test_heads_learn_from_moved_samples(tmp_path):
    losses = []
    for name, attack in (("moved", SAMPLES), ("plain", None)):
        done, _ = run(prepared(tmp_path, sft={**STEPS, "attack": attack}), tmp_path / name, only=("sft",))
        losses.append(read_metrics(done.metrics, "sft")[0]["loss"])
    assert losses[0] > losses[1]


def test_a_speaking_model_learns_from_moved_samples_and_is_measured_on_sounds_as_they_are(tmp_path):
    recipe = prepared(
        tmp_path,
        model={"heads": {"answer": SPEAKING}, "fuse": {"name": "joined"}},
        sft={**STEPS, "attack": SAMPLES, "stopping": {"share": 0.2, "every": 1}},
    )
    done, _ = run(recipe, tmp_path / "run", only=("sft",))
    assert len(read_metrics(done.metrics, "sft")) >= 3
    assert (done.folder / "sft" / "model.safetensors").is_file()


EMBEDDINGS = {"radius": {"token_embeddings": 0.2, "text_embeddings": 0.2, "pixel_values": 0.01}}
READS = {
    "encoders": {"image": IMAGE, "audio": AUDIO, "text": {"name": "gru", "hidden": 8}},
    "heads": {"answer": SPEAKING},
    "fuse": {"name": "joined"},
}


@pytest.mark.slow
def test_a_speaking_model_learns_from_moved_words_and_is_measured_on_words_as_they_are(tmp_path):
    norms = {"norm": {"token_embeddings": "snr", "text_embeddings": "snr"}, "steps": 2}
    losses = []
    for name, attack in (("moved", {**EMBEDDINGS, **norms}), ("plain", None)):
        sft = {**STEPS, "attack": attack, "stopping": {"share": 0.2, "every": 1}}
        done, _ = run(prepared(tmp_path, model=READS, sft=sft), tmp_path / name, only=("sft",))
        losses.append([line["loss"] for line in read_metrics(done.metrics, "sft")])
    assert losses[0][0] > losses[1][0]
    assert len(losses[0]) == len(losses[1]) >= 3


@pytest.mark.parametrize(
    ("radius", "words"),
    [
        (
            {"text_embeddings": 0.1},
            r"text_embeddings: this model has no text encoder; name one in model\.encoders\.text",
        ),
        ({"token_embeddings": 0.1}, r"token_embeddings: this model has no language head"),
    ],
)
def test_embeddings_that_a_model_does_not_have_are_refused_before_it_learns(tmp_path, radius, words):
    with pytest.raises(ValueError, match=words):
        run(prepared(tmp_path, sft={**STEPS, "attack": {"radius": radius}}), tmp_path / "run", only=("sft",))


def test_what_samples_nothing_asks_nothing_harder(tmp_path):
    (tmp_path / "a.yaml").write_text("algorithm: {name: dpo}\nalign: {rollout: {perturb: {}}}\n")
    with pytest.raises(RecipeError, match="dpo has none; leave them out"):
        read_recipe(tmp_path / "a.yaml")


def test_masked_frames_and_moved_samples_are_refused_together(tmp_path):
    with pytest.raises(RecipeError, match=r"sft\.attack\.radius\.samples makes frames anew"):
        prepared(tmp_path, sft={"attack": SAMPLES, "augment": {"audio": {"bands": 2}}})


def test_adversarial_prompts_are_read_from_a_recipe():
    said = [
        "align.rollout.perturb={kinds: [wordings, case], wordings: [{of: ['Add {n}.'], to: ['Plus {n}.']}], tries: 4}",
        "align.rollout.perturb.case.upper=false",
        "align.rollout.attack={radius: {pixel_values: 0.0157, samples: 0.01}, norm: {samples: snr}, share: 0.5}",
    ]
    rollout = read_recipe(recipe_file("demo"), said).align.rollout
    assert rollout.perturb.wordings == (Wording(("Add {n}.",), ("Plus {n}.",)),)
    assert (rollout.perturb.tries, rollout.perturb.case.upper, rollout.perturb.share) == (4, False, 0.5)
    assert (rollout.attack.norm_of("samples"), rollout.attack.norm_of("pixel_values")) == ("snr", "inf")
    plain = resolved(read_recipe(recipe_file("demo")))["align"]["rollout"]
    assert plain["perturb"] is plain["attack"] is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("align.rollout.perturb.typo={}", r"align\.rollout\.perturb\.typo: .*'typos'"),
        ("align.rollout.perturb.share=2", r"perturb\.share"),
        ("align.rollout.perturb.kinds=[typoes]", r"align\.rollout\.perturb\.kinds"),
        (
            "align.rollout.perturb={kinds: [wordings], wordings: [{of: [a]}]}",
            r"perturb\.wordings\.0\.to: it is missing",
        ),
        ("align.rollout.perturb={kinds: [wordings], wordings: [{of: [a], too: [b]}]}", r"wordings\.0\.too: .*'to'"),
        ("align.rollout.attack={steps: 2}", r"align\.rollout\.attack\.radius"),
        ("align.rollout.attack={radius: {samples: 0.01}, norm: {sample: snr}}", r"attack\.norm names sample"),
    ],
)
def test_what_makes_no_adversarial_prompt_is_refused_with_the_nearest(said, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(recipe_file("demo"), [said])
