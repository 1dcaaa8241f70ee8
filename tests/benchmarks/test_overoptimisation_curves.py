import gzip
import json
import math

import numpy as np
import pytest
import torch
from benchmarks.reward.overoptimisation.__main__ import main
from benchmarks.reward.overoptimisation.curve import MEMBERS, Curve, curve_of, selecting, sizes_up_to
from benchmarks.reward.overoptimisation.drawing import draw_worlds
from benchmarks.reward.overoptimisation.people import Captions
from benchmarks.reward.overoptimisation.table import KEPT_BETAS, endings, endings_table, fits, fits_table, interval

from harken.evaluate.svg import check_svg


def drawn(seed, prompts=3, count=64):
    """A proxy that is gold with noise, and an ensemble of such."""
    chance = np.random.default_rng(seed)
    gold = [chance.normal(size=count) for _ in range(prompts)]
    scores = {
        members: [torch.from_numpy(g[:, None] + chance.normal(size=(count, members))) for g in gold]
        for members in (1, MEMBERS)
    }
    return scores, gold


SEEDS = [selecting(20, *drawn(seed), ("best_of_n", "regularised")) for seed in range(3)]


def test_sizes_double_up_to_the_count():
    assert sizes_up_to(5) == [1, 2, 4, 5]
    assert sizes_up_to(8) == [1, 2, 4, 8]


def test_both_ways_to_choose_end_at_the_proxy_s_favourite():
    scores, gold = drawn(0)
    favourites = [g[int(s[:, 0].argmax())] - g.mean() for s, g in zip(scores[1], gold, strict=True)]
    ends = [c for c in SEEDS[0] if c.reward == "single"]
    assert [c.optimiser for c in ends] == ["best_of_n", "regularised"]
    for curve in ends:
        assert curve.gold[:, -1] == pytest.approx(favourites)
    assert ends[0].distance[-1] == pytest.approx(math.sqrt(math.log(64) - 63 / 64))
    assert ends[1].distance[:, -1] == pytest.approx([math.sqrt(math.log(64))] * 3)


def test_a_curve_is_read_as_it_was_written():
    for curve in SEEDS[0]:
        again = curve_of(json.loads(json.dumps(curve.to_json())))
        assert again.to_json() == curve.to_json()
        assert again.gold.shape == curve.gold.shape


def test_an_arm_is_held_against_the_best_point_of_the_single_model():
    def curve(reward, penalty, *gold):
        rows = np.array([gold, gold], dtype=float)
        return Curve("ppo", 60, reward, penalty, [1.0, 2.0, 3.0], np.array([0.5, 1.0, 2.0]), rows, np.zeros(3))

    seed = [
        curve("single", 0.0, 1.0, 2.0, -1.0),
        curve("single", 0.1, 1.0, 1.5, 1.25),
        curve("worst", 0.1, 1.0, 2.0, 2.5),
    ]
    found = endings([seed, seed])
    assert [one.oracle for one in found] == [2.0] * 3
    assert [one.gold for one in found] == [-1.0, 1.25, 2.5]
    assert [one.top for one in found] == [2.0, 1.5, 2.5]
    assert [one.difference for one in found] == [-3.0, -0.75, 0.5]
    assert [one.penalty for one in found] == [0.0, 0.1, 0.1]
    assert found[2].difference_interval == (0.5, 0.5)
    assert found[2].seeds == (0.5, 0.5)


def test_the_interval_is_as_wide_as_seeds_and_rows_differ():
    chance = np.random.default_rng(0)
    alike = [chance.normal(size=100) for _ in range(4)]
    apart = [rows + shift for rows, shift in zip(alike, (-1, -1, 1, 1), strict=True)]
    low, high = interval(alike)
    assert low < np.mean(alike) < high
    assert high - low == pytest.approx(4 * np.std(alike) / 20, rel=0.6)
    assert interval(apart)[1] - interval(apart)[0] > 3 * (high - low)


def test_tables_and_plot_hold_every_arm():
    ends, laws = endings(SEEDS), fits(SEEDS)
    assert len(ends) == 3 * (1 + len(KEPT_BETAS))
    assert len(laws) == 6
    assert endings_table(ends).count("\n") == 1 + len(ends)
    assert fits_table(laws).count("\n") == 1 + len(laws)
    svg = check_svg(draw_worlds({"speech": SEEDS}))
    assert "speech: best of n" in svg
    assert "speech: KL-regularised" in svg
    assert "20 comparisons" in svg


def captions(folder):
    chance = np.random.default_rng(0)
    lines = [
        {
            "contest": contest,
            "caption": "so " * int(n) + f"{contest} {n}.",
            "funny": int(20 * n + chance.integers(5)),
            "somewhat_funny": 10,
            "unfunny": 90,
        }
        for contest in range(6)
        for n in range(10 + contest)
    ]
    folder.mkdir()
    with gzip.open(folder / "captions_x.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.mark.slow
def test_captions_of_other_contests_are_chosen_from_votes(tmp_path):
    captions(tmp_path / "caption_contest")
    world = Captions(tmp_path / "caption_contest", tmp_path / "blobs", (200,))
    found = world.curves(0, lambda text: None)
    assert all(curve.gold.shape[0] == 3 for curve in found)
    single = next(c for c in found if (c.optimiser, c.reward) == ("best_of_n", "single"))
    assert single.points == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert single.gold.mean(0)[-1] > 0.2  # longer is funnier here, and words tell it
    votes = [world.vote(["1"], 0, n).feedback for n in range(400)]
    assert [world.vote(["1"], 0, n).feedback for n in range(400)] == votes
    won = [v.a if v.choice == "a" else v.b for v in votes if v.choice != "tie"]
    lost = [v.b if v.choice == "a" else v.a for v in votes if v.choice != "tie"]
    place = {name: n for n, name in enumerate(world.captions["1"])}
    assert np.mean([place[w] - place[x] for w, x in zip(won, lost, strict=True)]) > 1


@pytest.mark.slow
def test_the_demo_s_arms_from_one_command(tmp_path):
    overrides = [
        "data.demonstrations=24",
        "data.ask=16",
        "data.held_out=4",
        "sft.data.steps=2",
    ]
    given = ["--json", str(tmp_path / "out.json"), "--svg", str(tmp_path / "out.svg"), "--world", "demo", "--tiny"]
    given += ["--seeds", "1", *(word for one in overrides for word in ("--override", one))]
    main(given)
    found = json.loads((tmp_path / "out.json").read_text())["demo"]
    ways = {(e["optimiser"], e["comparisons"], e["reward"], e["penalty"]) for e in found["endings"]}
    assert len(ways) == 2 * 3 + 2 * 3
    assert ("ppo", 20, "worst", 0.1) in ways
    curves = json.loads((tmp_path / "out.json.parts" / "demo-0.json").read_text())["curves"]
    ppo = [c for c in curves if c["optimiser"] == "ppo"]
    # The distance is measured without a penalty too.
    assert any(distance > 0 for c in ppo if c["penalty"] == 0 for distance in c["distance"])
    assert all(len(c["gold"]) == 4 and len(c["gold"][0]) == 2 for c in ppo)
    check_svg((tmp_path / "out.svg").read_text().strip())
    main(given)  # nothing is done again
    assert json.loads((tmp_path / "out.json").read_text())["demo"] == found
