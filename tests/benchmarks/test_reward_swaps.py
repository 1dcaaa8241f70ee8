"""Swaps: an oracle passes, a blind scorer does not; and a real reward on real items, where these lie on the machine."""

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.reward.cost import compared, run
from benchmarks.reward.labelled import Labelled, read_sounds
from benchmarks.reward.swaps import Found, Size, medium_of, sounds, swap_named

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.reward.combining import Summary

DATA = Path(os.environ.get("HARKEN_DATA", Path(__file__).parents[3] / "shared" / "data"))
CLIPS = {"1-a": "Bell", "1-b": "Rain", "1-c": "Bell", "2-d": "Rain"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four sounds in the form of ESC-10, of which five people named each; of one they say different things."""
    where = tmp_path / "esc10"
    where.mkdir()
    for fold in "12":
        with zipfile.ZipFile(where / f"fold{fold}.zip", "w") as opened:
            for n, clip in enumerate(c for c in CLIPS if c.startswith(fold)):
                wave = np.sin(np.arange(8000) * 0.05 * (n + 1 + int(fold))).astype(np.float32) * 0.3
                opened.writestr(f"{clip}.wav", encode_wav(wave, 16_000))
    with (where / "manifest.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows([("file", "fold"), *((f"{clip}.ogg", clip[0]) for clip in CLIPS)])
    with (where / "human_judgements_x.csv").open("w", newline="") as opened:
        told = csv.writer(opened)
        told.writerow(("worker", "clip", "chosen"))
        for clip, name in CLIPS.items():
            told.writerows((who, clip, "Rain" if clip == "1-c" and who > 2 else name) for who in range(5))
    return tmp_path


def test_people_s_names_are_choices_and_unclear_ones_are_not_judged(folder, tmp_path):
    data = read_sounds(folder, Blobs(tmp_path / "blobs"))
    assert data.names == ("Bell", "Rain")
    assert data.said == {"1-a": "Bell", "1-b": "Rain", "2-d": "Rain"}
    assert sum(answer.count for answer in data.answers) == 20
    learnt = data.learnt("2")
    assert set(learnt.prompts) == {"1-a", "1-b", "1-c"} and len(learnt.completions) == 6
    assert {answer.feedback.prompt_id for answer in learnt.answers} == set(learnt.prompts)


def figures(data: Labelled, blobs: Blobs, hears: bool) -> dict[str, object]:
    """Of a scorer that knows what people said of each medium, or of one that reads the words alone."""
    said = {medium_of(data.prompts[key]).sha256: name for key, name in data.said.items()}

    def score(completions, prompts) -> Summary:
        told = [
            float(said.get(medium_of(prompts[c.prompt_id]).sha256) == c.text) if hears else float(len(c.text))
            for c in completions
        ]
        return Summary.of(torch.tensor(told)[:, None])

    found = Found.nothing()
    swap_named(score, data, "1", blobs, found, 0)
    return found.figures()


def test_who_hears_moves_with_people_and_who_does_not_never_moves(folder, tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    data = read_sounds(folder, blobs)
    hearing, blind = (figures(data, blobs, hears) for hears in (True, False))
    for name in ("own_name_loses", "other_name_gains", "both", "blank_loses"):
        assert hearing[name][0] == 1.0 and hearing[f"{name}_count"] == 1
        assert blind[name][0] == 0.0
    assert hearing["right_name_first"][0] == 1.0
    assert blind["own_name_loses_change"] == 0.0


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "esc10").is_dir(), reason=f"no esc10 in {DATA} (HARKEN_DATA names another folder)")
@pytest.mark.parametrize(
    ("model", "least"), [("described", 0.8), pytest.param("encoders", 0.7, marks=pytest.mark.soak)]
)
def test_a_swapped_sound_changes_the_score_as_people_s_names_do(model, least, tmp_path):
    found = Found.nothing()
    sounds(model, DATA, Blobs(tmp_path), Size(parts=1, steps=300), found)
    told = found.figures()
    assert told["own_name_loses"][0] > least and told["other_name_gains"][0] > least
    assert told["own_name_loses"][1] > 0.5


@pytest.mark.slow
def test_the_cost_of_an_ensemble_is_told(tmp_path):
    told = run((8,), 300, 100, 3, 1, tmp_path)
    assert json.loads(json.dumps(told)) == told
    assert told["fit_8"]["seconds"] > 0 and told["fit_8"]["correlation_with_hidden"] > 0.7
    scoring = told["scoring"]
    ratio = scoring["models"]["processor_seconds"] / scoring["heads_on_one_trunk"]["processor_seconds"]
    assert scoring["processor_ratio"] == pytest.approx(ratio, abs=0.02)


def test_made_up_annotators_follow_the_hidden_line():
    features, said, score = compared(16, 4000, 500)
    ahead = (score[said["comparison.a"]] > score[said["comparison.b"]]).long()
    assert features.shape == (500, 16)
    assert float((ahead != said["comparison.choice"]).float().mean()) > 0.6
    assert not (said["comparison.a"] == said["comparison.b"]).any()
