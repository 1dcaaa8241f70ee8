import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.trl.measure import Plan, Side, SideError, Taken, figures, measure
from benchmarks.trl.model import make_model, make_processor
from benchmarks.trl.plot import grid, plot
from benchmarks.trl.prompts import IMAGE_TOKENS, completions_per_step, items
from benchmarks.trl.rows import ROWS, Row, chosen_rows, sweep_rows
from benchmarks.trl.table import missed, reached, table
from benchmarks.trl.turns import fingerprint, forget_peak, peak_mib

ROOT = Path(__file__).parents[2]
TINY = Row("tiny", "grpo", prompts=1, group=2, prompt_tokens=72, new_tokens=3, vocabulary=1_200)
BOTH = {
    "trl": Taken([4.0, 8.0, 6.0], [3.0, 4.0, 5.0], 1000.0, 400.0, {"inner": [3.0, 7.0, 5.0]}),
    "harken": Taken([2.0, 1.0, 9.0], [1.0, 2.0, 3.0], 250.0, 300.0),
}


def test_the_issue_s_rows_and_thresholds():
    promised = {row.name: row.ratio for row in ROWS if row.ratio is not None}
    assert promised == {
        "grpo": 4.0,
        "grpo_512": 5.0,
        "rloo": 5.0,
        "dpo": 1.7,
        "dpo_lora": 2.5,
        "sft": 1.2,
        "rollout": 2.0,
    }
    assert {row.name: row.memory for row in ROWS if row.memory is not None} == {"grpo_large": 0.6}
    by_name = {row.name: row for row in ROWS}
    assert [completions_per_step(by_name[n]) for n in ("grpo", "dpo", "sft")] == [32, 32, 16]
    assert all(row.new_tokens == 32 for row in ROWS)


def test_medians_and_ratios():
    found = figures(BOTH)
    assert (found["trl_s"], found["harken_s"], found["ratio"]) == (6.0, 2.0, 3.0)
    assert (found["trl_mib"], found["harken_mib"], found["memory"]) == (1000.0, 250.0, 0.25)
    assert found["cpu_ratio"] == 2.0
    assert found["trl_inner_s"] == 5.0
    assert found["trl_steps_s"] == [4.0, 8.0, 6.0] and found["steps"] == 3
    assert json.loads(json.dumps(found)) == found


def test_a_side_alone_has_no_ratio():
    found = figures({"harken": BOTH["harken"]})
    assert found["harken_s"] == 2.0
    assert not {"ratio", "memory", "trl_s"} & set(found)


@pytest.mark.parametrize(
    ("row", "ratio", "memory", "verdict"),
    [
        (Row("a", "grpo", 4.0), 4.0, 2.0, True),
        (Row("a", "grpo", 4.0), 3.99, 0.1, False),
        (Row("a", "grpo", memory=0.6), 0.5, 0.6, True),
        (Row("a", "grpo", memory=0.6), 9.0, 0.61, False),
        (Row("a", "grpo", 4.0, memory=0.6), 5.0, 0.7, False),
        (Row("a", "ppo"), 0.1, 9.0, None),
    ],
)
def test_what_is_reached(row, ratio, memory, verdict):
    assert reached(row, {"ratio": ratio, "memory": memory}) is verdict


def test_the_table_says_what_was_missed():
    found = figures(BOTH)
    result = {"grpo": found, "dpo": found, "ppo": figures({"harken": BOTH["harken"]}), "about": {}}
    assert missed(result) == ["grpo"]
    lines = table(list(ROWS), result).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}
    assert cells["grpo"] == ["6.00", "2.00", "3.00", "4.0", "7.0", "1000", "250", "0.25", "", "MISSED"]
    assert cells["dpo"][-1] == "reached"
    assert cells["ppo"] == ["", "2.00", "", "", "", "", "250", "", "", ""]
    assert "MISSED" not in table(list(ROWS), result, promises=False)


def test_rows_are_chosen_by_name_and_travel_as_text():
    assert [row.name for row in chosen_rows("rloo,grpo")] == ["rloo", "grpo"]
    assert chosen_rows("") == ROWS
    with pytest.raises(ValueError, match="there is no row 'grop'; there are grpo, "):
        chosen_rows("grop")
    assert all(Row.from_json(row.to_json()) == row for row in ROWS)


def test_the_sweep_covers_groups_and_lengths(tmp_path):
    rows = sweep_rows(prompts=1)
    assert {(row.group, row.prompt_tokens) for row in rows} == {(g, t) for g in (2, 4, 8, 16) for t in (128, 512, 2048)}
    result = {row.name: figures(BOTH) for row in rows}
    assert set(grid(result | {"about": {}})) == {(row.group, row.prompt_tokens) for row in rows}
    plot(result, tmp_path / "sweep.svg")
    assert "<svg" in (tmp_path / "sweep.svg").read_text()
    with pytest.raises(ValueError, match="--sweep"):
        plot({"grpo": figures(BOTH)}, tmp_path / "none.svg")


def test_prompts_and_answers_have_the_tokens_that_the_row_says():
    processor = make_processor(2_048)
    for row in (chosen_rows("grpo")[0], chosen_rows("grpo_512")[0]):
        made = items(row, 2)
        assert len({one.text for one in made}) == len(made) == 2 * row.prompts
        assert items(row, 2)[3].text == made[3].text
        content = [{"type": "image"}, {"type": "text", "text": made[0].text}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        encoded = processor(text=text, images=made[0].picture, return_tensors="pt", add_special_tokens=False)
        assert encoded["input_ids"].shape == (1, row.prompt_tokens)
        assert int((encoded["input_ids"] == processor.image_token_id).sum()) == IMAGE_TOKENS
        assert processor.tokenizer.unk_token_id not in encoded["input_ids"]
        assert len(processor.tokenizer(made[0].chosen)["input_ids"]) == row.new_tokens - 1
    with pytest.raises(ValueError, match="at least 70 tokens"):
        items(Row("short", "grpo", prompt_tokens=69), 1)


def test_a_fingerprint_knows_tokens_and_not_their_order():
    assert fingerprint([[1, 2], [3]]) == fingerprint([[3], [1, 2]])
    assert fingerprint([[1, 2], [3]]) != fingerprint([[1], [2, 3]])


def test_the_peak_is_what_was_held_at_most():
    forget_peak()
    before = peak_mib()
    held = bytearray(os.urandom(1 << 20) * 64)
    after = peak_mib()
    assert after - before > 50 and len(held) == 64 << 20


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, TINY.vocabulary)
    return Plan(1, 0, 1, sys.executable, {TINY.vocabulary: folder})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grpo", *(pytest.param(name, marks=pytest.mark.soak) for name in ("dpo", "sft"))])
def test_both_sides_are_fed_the_same_tokens(plan, method):
    pytest.importorskip("trl")
    row = Row("tiny", method, prompts=2, group=2, prompt_tokens=72, new_tokens=3, vocabulary=1_200)
    sides = [Side("trl", plan.trl_python, row, plan), Side("harken", sys.executable, row, plan)]
    try:
        said = [side.ready() for side in sides]
    finally:
        for side in sides:
            side.close()
    assert said[0] == said[1]
    if method == "grpo":
        processor = make_processor(row.vocabulary)
        one = [f"<|im_start|> user <image>{i.text}<|im_end|> <|im_start|> assistant" for i in items(row, 1)]
        pictures = [i.picture for i in items(row, 1)]
        assert said[0] == fingerprint(processor(text=one, images=pictures)["input_ids"])


@pytest.mark.slow
def test_harken_s_side_does_its_steps(plan):
    found = measure(
        Row("tiny", "ppo", prompts=1, group=2, prompt_tokens=72, new_tokens=3, vocabulary=1_200, alone=True), plan
    )
    assert found["harken_s"] > 0 and found["harken_mib"] >= found["harken_base_mib"] * 0.5
    assert found["steps"] == 1


@pytest.mark.slow
def test_a_side_that_gives_up_says_why(plan, tmp_path):
    with pytest.raises(SideError, match=r"harken ended with 1(.|\n)*config\.json"):
        measure(
            Row("tiny", "ppo", prompts=1, prompt_tokens=72, vocabulary=7, alone=True),
            Plan(1, 0, 1, sys.executable, {7: tmp_path}),
        )


@pytest.mark.slow
def test_an_unknown_row_is_refused_before_anything_is_made():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trl", "--only", "grop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and "there is no row 'grop'" in done.stderr
