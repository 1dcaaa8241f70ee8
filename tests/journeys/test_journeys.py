"""One choice end to end, by every road: rounds, another algorithm, real data, files of one's own."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_run import OVERRIDES, run_tiny

from harken.data.media.image import encode_png
from harken.demo.world import make_world
from harken.models.load import load_model
from harken.pipeline.recipe import read_recipe
from harken.pipeline.run import Progress, Run
from harken.pipeline.stages import stages
from harken.reward.model import load_reward_model

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HARKEN_DATA", ROOT.parent / "shared" / "data"))
WORLD_KEYS = ("data.", "model.", "name=")


class Told(Progress):
    """Remembers what it was told."""

    def __init__(self):
        self.states: list[tuple[str, str]] = []

    def stage(self, name: str, state: str) -> None:
        self.states.append((name, state))


@pytest.mark.slow
def test_twice_round_with_grpo_and_rankings(tmp_path):
    changes = ["algorithm={name: grpo, group: 2}", "rounds=2", "feedback.rankings=3", "completions.each=3"]
    changes += ["align.human_only=false"]
    kept = [o for o in OVERRIDES if not o.startswith("algorithm.")]
    told = Told()
    run = run_tiny(tmp_path, *changes, progress=told) if kept == OVERRIDES else _run(tmp_path, [*kept, *changes], told)
    for name in ("sft", "reward", "aligned", "rounds/1/aligned", "rounds/2/aligned"):
        assert (tmp_path / name / "model.safetensors").exists(), name
        load_model(tmp_path / name)
    load_reward_model(tmp_path / "reward")
    newest = (tmp_path / "rounds/2/aligned/model.safetensors").read_bytes()
    assert (tmp_path / "aligned/model.safetensors").read_bytes() == newest
    assert newest != (tmp_path / "rounds/1/aligned/model.safetensors").read_bytes()
    lines = [(tmp_path / f"rounds/{r}/feedback.jsonl").read_text().splitlines() for r in (1, 2)]
    assert len(lines[1]) > len(lines[0])
    assert lines[1][: len(lines[0])] == lines[0]
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert 0 <= found["win_rate_interval"][0] <= found["win_rate"] <= found["win_rate_interval"][1] <= 1
    assert "value" not in json.loads((tmp_path / "reward/heads.json").read_text())
    # Again: all is there. One setting changed: what depends on it is done again, and nothing else.
    told.states.clear()
    run.execute(stages(run.recipe))
    assert {state for _, state in told.states} == {"current"}
    told.states.clear()
    _run(tmp_path, [*kept, *changes, "evaluation.examples=1"], told)
    assert {n.split("/")[-1] for n, state in told.states if state == "running"} == {"evaluation", "report"}


def _run(folder: Path, overrides: list[str], told: Progress, recipe: str = "demo") -> Run:
    made = read_recipe(ROOT / "recipes" / f"{recipe}.yaml", overrides)
    run = Run(folder, made, make_world, told)
    with run.locked():
        run.open(resume=True)
        run.execute(stages(made))
        run.finish()
    return run


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "fsdd").is_dir(), reason=f"no real data in {DATA} (HARKEN_DATA names another folder)")
def test_real_voices_and_handwriting(tmp_path):
    small = [o for o in OVERRIDES if not o.startswith("name=")]
    run = _run(tmp_path, [*small, f"data.root={DATA}"], Told(), "spoken_digits")
    assert json.loads((tmp_path / "evaluation.json").read_text())["prompts"] == 8
    assert {p.facts["task"] for p in run.world.prompts} == {"read", "hear", "agree", "sum"}


@pytest.mark.slow
def test_prompts_of_ones_own(tmp_path):
    """JSONL with pictures: demonstrations from references, no simulated annotator anywhere."""
    rng, lines = np.random.default_rng(0), []
    for i in range(60):
        (tmp_path / f"{i}.png").write_bytes(encode_png(rng.integers(0, 255, (8, 16, 3), dtype=np.uint8)))
        content = [{"type": "image", "image": f"{i}.png"}, {"type": "text", "text": "Which number?"}]
        record = {"id": f"p{i}", "messages": [{"role": "user", "content": content}], "references": [f"It is {i}."]}
        lines.append(json.dumps(record))
    (tmp_path / "mine.jsonl").write_text("\n".join([*lines, '{"id": "bad", "images": ["x.png"]}']) + "\n")
    small = [o for o in OVERRIDES if not o.startswith("data.")]
    mine = [*small, "data.name=prompts", f"data.prompts={tmp_path / 'mine.jsonl'}"]
    made = read_recipe(ROOT / "recipes" / "demo.yaml", mine)
    run = Run(tmp_path / "run", made, make_world)
    with pytest.raises(ValueError, match=r"mine\.jsonl:61"):
        run.execute(stages(made)[:1])
    made = read_recipe(ROOT / "recipes" / "demo.yaml", [*mine, "data.skip_bad=true"])
    run = Run(tmp_path / "run", made, make_world)
    run.execute(stages(made)[:2])
    assert "1 bad records" in " ".join(run.world.notices)
    assert (tmp_path / "run" / "sft" / "model.safetensors").exists()
    with pytest.raises(RuntimeError, match=r"feedback\.annotator=me"):
        run.execute(stages(made)[2:3])
