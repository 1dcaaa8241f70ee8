"""Which pairs a round asks: by the newest reward model, a share at random, held-out prompts at random alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.queue import random_pairs
from harken.feedback.selection import Candidates, SelectionConfig, select_pairs
from harken.feedback.store import FeedbackStore
from harken.pipeline.choose import Chosen, Known, choose_pairs, told
from harken.pipeline.recipe import RecipeError, read_recipe
from harken.pipeline.settings import FeedbackConfig
from harken.pipeline.stages import stages
from harken.pipeline.verbs import ask
from harken.types import Completion

MADE = [Completion(f"c{i}.{j}", f"p{i}", f"text {j}", "sft") for i in range(12) for j in range(3)]
LEARNT, HELD = MADE[:24], MADE[24:]


def known(seed: int = 0, rows=LEARNT, compared=()) -> Known:
    chance = np.random.default_rng(seed)
    return Known(rows, chance.normal(size=(len(rows), 4)), chance.normal(size=(len(rows), 3)), compared)


def names(pairs) -> set[frozenset[str]]:
    return {frozenset((pair.a, pair.b)) for pair in pairs}


@settings(max_examples=60)
@given(
    count=st.integers(0, 50),
    held=st.sampled_from([0.0, 0.25, 0.5]),
    share=st.sampled_from([0.0, 0.25, 1.0]),
    policy=st.sampled_from(["disagreement", "bald", "badge", "k_centre", "d_optimal", "v_optimal"]),
    batch=st.integers(1, 20),
    seed=st.integers(0, 2**60),
)
def test_shares_are_kept_and_no_pair_is_asked_twice(count, held, share, policy, batch, seed):
    config = SelectionConfig(policy, batch)
    found = choose_pairs(LEARNT, HELD, count, (held, share), config, known(), seed)
    assert found == choose_pairs(LEARNT, HELD, count, (held, share), config, known(), seed)
    apart = [one for one in found if one.pair.prompt_id in {c.prompt_id for c in HELD}]
    rest = [one for one in found if one not in apart]
    assert {one.how for one in apart} <= {"random"}
    assert len(apart) == min(round(held * count), 12)
    assert sum(one.how == "random" for one in rest) == min(round(share * (count - len(apart))), 24)
    assert len(found) == min(count, len(apart) + 24) or share == 1.0
    assert len(names(one.pair for one in found)) == len(found)
    assert all(one.pair.a.split(".")[0] == one.pair.b.split(".")[0] for one in found)


def test_the_chosen_are_those_that_the_policy_takes_after_the_random_ones():
    about = known(3)
    found = choose_pairs(LEARNT, HELD, 20, (0.25, 0.2), SelectionConfig("disagreement", 4), about, 7)
    rows = {c.id: n for n, c in enumerate(LEARNT)}
    drawn = [one.pair for one in found if one.how == "random" and one.pair.a in rows]
    every = np.array([(a, b) for a in range(24) for b in range(a) if a // 3 == b // 3])
    asked = np.array([(rows[pair.a], rows[pair.b]) for pair in drawn])
    best = select_pairs(Candidates(every, about.scores, None, asked), SelectionConfig("disagreement", 12), 0)
    expected = {frozenset((LEARNT[a].id, LEARNT[b].id)) for a, b in every[best]}
    assert names(one.pair for one in found if one.how == "disagreement") == expected


def test_what_was_compared_before_counts_as_known():
    earlier = [replace(c, id=f"old {c.id}") for c in LEARNT]
    about = known(1, [*earlier, *LEARNT])
    config, shares = SelectionConfig("d_optimal", 8, ridge=0.1), (0.0, 0.0)
    without = choose_pairs(LEARNT, [], 8, shares, config, about, 0)
    seen = replace(about, compared=[("old c0.0", "old c0.1"), ("old c1.0", "old c1.2"), ("gone", "old c1.2")] * 9)
    assert names(o.pair for o in choose_pairs(LEARNT, [], 8, shares, config, seen, 0)) != names(o.pair for o in without)


def test_without_a_reward_model_all_is_random_and_it_is_said():
    found = choose_pairs(LEARNT, HELD, 20, (0.25, 0.2), SelectionConfig("bald"), None, 0)
    assert len(found) == 20 and {one.how for one in found} == {"random"}
    assert told(1, found, "bald") == (
        "round 1: 20 pairs, all at random: there is no reward model yet for 'bald' to go by"
    )
    mixed = [*found[:4], *(Chosen(one.pair, "bald") for one in found[4:])]
    assert told(2, mixed, "bald") == "round 2: 16 pairs chosen by 'bald', 4 at random"


def test_random_pairs_are_spread_over_prompts_and_of_different_texts():
    same = [Completion(f"s{i}", "p0", "text 0", "sft") for i in range(4)]
    found = random_pairs([*MADE, *same], 12, 0)
    assert sorted(pair.prompt_id for pair in found) == sorted({c.prompt_id for c in MADE})
    texts = {c.id: c.text for c in (*MADE, *same)}
    assert all(texts[pair.a] != texts[pair.b] for pair in random_pairs([*MADE, *same], 99, 0))
    assert len(random_pairs(MADE, 99, 1)) == 36
    assert random_pairs(MADE, 9, 1) == random_pairs(MADE, 9, 1) != random_pairs(MADE, 9, 2)


def test_a_policy_is_refused_where_there_is_nothing_to_go_by(tmp_path):
    with FeedbackStore(tmp_path / "feedback.db") as store, pytest.raises(ValueError, match="needs a run with rounds"):
        ask(store, MADE, [], FeedbackConfig(select=SelectionConfig("bald")), 0)


def test_a_recipe_asks_at_random_unless_it_says_otherwise(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("rounds: 2\n")
    plain = {stage.name: stage for stage in stages(read_recipe(path))}
    assert "rounds/2/selection" not in plain
    chosen = {stage.name: stage for stage in stages(read_recipe(path, ["feedback.select.policy=bald"]))}
    assert "rounds/1/reward" in chosen["rounds/2/selection"].inputs
    assert "rounds/1/feedback" in chosen["rounds/2/selection"].inputs
    assert chosen["rounds/1/selection"].inputs == ("rounds/1/completions",)
    assert "rounds/2/selection" in chosen["rounds/2/feedback"].inputs
    with pytest.raises(RecipeError, match=r"reward\.model\.heads is 1"):
        read_recipe(path, ["feedback.select.policy=bald", "reward.model.heads=1"])
    with pytest.raises(RecipeError, match=r"random_share must be a share"):
        read_recipe(path, ["feedback.random_share=1.5"])
    with pytest.raises(RecipeError, match=r"feedback\.select\.policy"):
        read_recipe(path, ["feedback.select.policy=best"])
    assert (
        json.loads(json.dumps(chosen["rounds/2/selection"].settings, default=str))["feedback"]["random_share"] == 0.25
    )
