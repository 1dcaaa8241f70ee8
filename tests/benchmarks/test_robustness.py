"""What the benchmark of robustness judges by: other words than were practised, and attacks within their balls."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from benchmarks.family.robust_classifiers import SOUNDS, Job, attacks, judge, training
from benchmarks.family.robust_policy import ASIDES, JUDGED, PRACTISED, changes, conditions, figures, hardened
from benchmarks.family.robust_words import trainings
from benchmarks.family.sounds import with_samples
from tiny import tiny_model

from harken.algorithms.sft import SFT
from harken.data.augment.media import Augmentation
from harken.data.augment.words.distractors import Distractors
from harken.data.batch import EncodedPrompt, collate
from harken.demo.recipe import recipe_file
from harken.demo.tasks import QUESTIONS
from harken.models.embeddings import TOKENS
from harken.models.fusion.build import FamilyConfig
from harken.pipeline.learn import new_predictor
from harken.pipeline.recipe import read_recipe
from harken.train.adversarial import attacked, reading_what_moves


def test_each_question_has_other_words_and_those_that_judge_were_never_practised():
    chance = np.random.default_rng(0)
    for text in [text for options in QUESTIONS.values() for text in options] + ["Add 3."]:
        for wordings in (PRACTISED, JUDGED):
            said = [made for wording in wordings if (made := wording(text, chance)) is not None]
            assert said, "the first is what is asked: `Add them.` is `Add {n}.` too"
            assert ("3" in said[0]) == ("3" in text)
            assert "them more" not in said[0]
    asked = {text for options in QUESTIONS.values() for text in options}
    practised = {text for wording in PRACTISED for text in wording.to}
    judged = {text for wording in JUDGED for text in wording.to}
    assert not judged & practised
    assert not asked & (judged | practised)
    assert not set(ASIDES) & set(Distractors().sentences)


def test_the_reinforcement_that_follows_differs_by_adversarial_prompts_alone():
    recipe = read_recipe(recipe_file("demo"))
    hard = hardened(recipe).align.rollout
    assert replace(hard, perturb=None, attack=None) == recipe.align.rollout
    assert hard.perturb.wordings == PRACTISED
    assert conditions(3)["worst of 8"].perturb.wordings == JUDGED


def test_a_classifier_is_judged_within_the_ball():
    family = FamilyConfig(
        encoders={"audio": {"name": "log_mel_cnn", "rate": 8000, "mels": 8, "widths": (4, 6), "strides": (2, 2)}},
        fuse={"name": "joined", "layers": 0, "width": 6},
        heads={"class": {"name": "classify", "classes": 3}},
    )
    model, rng = new_predictor(family, [], 0), np.random.default_rng(0)
    media = with_samples(model, [(rng.standard_normal(500) * 0.1).astype(np.float32) for _ in range(6)])
    held = (media, torch.arange(6) % 3)
    job = Job("sounds", family, held, held, SOUNDS, training(2, 6, Augmentation()), 2)
    found = {name: judge(model, job, attack, 0) for name, attack in attacks(SOUNDS, 3).items()}
    assert list(found) == ["clean", "FGSM", "PGD-3"]
    assert found["clean"][1] == 0
    assert all(0.999 < found[name][1] <= 1 for name in ("FGSM", "PGD-3"))


def test_changes_are_prompt_by_prompt():
    before = {"reward": np.array([0.0, 1.0, 2.0]), "gold": np.zeros(3), "exact": np.array([0.0, 1.0, 1.0])}
    after = {"reward": np.array([0.5, 1.5, 2.5]), "gold": np.ones(3), "exact": np.array([1.0, 1.0, 1.0])}
    assert changes(before, after)["reward"] == pytest.approx([0.5, 0.5, 0.5])
    assert changes(before, after)["exact"][0] == pytest.approx(1 / 3, abs=1e-3)
    assert figures(after)["exactness"][0] == 1.0


def test_trainings_on_words_differ_by_the_attack_alone_and_noise_is_as_long_as_it():
    plain = read_recipe(recipe_file("demo"))
    made = {name: read_recipe(recipe_file("demo"), said) for name, said in trainings([]).items()}
    assert made["twice the steps"].sft.data.steps == 2 * plain.sft.data.steps
    for name, recipe in made.items():
        assert replace(recipe, sft=replace(recipe.sft, attack=None, data=plain.sft.data)) == plain, name
    model, attack = tiny_model(), made["noise of 0.1"].sft.attack
    ids = [torch.tensor(model.processor.encode_text("It is 42."))] * 40
    whole = collate([EncodedPrompt(torch.arange(60, 100))] * 40, ids, range(40), model.processor.pad_id)
    module = reading_what_moves(model, attack)
    clean, after = module.laid_open(whole), attacked(module, SFT(), whole, attack, torch.Generator().manual_seed(0))
    away = (after.prompts.media[TOKENS] - clean.prompts.media[TOKENS]).flatten(1).norm(dim=1)
    assert (away / clean.prompts.media[TOKENS].flatten(1).norm(dim=1)).mean() == pytest.approx(0.1, abs=0.002)
