"""The report on heads alone: every figure of the evaluation on one page, what is confused, and why."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shades import AUDIO, HEADS, IMAGE, prepared, run, write_prompts

PAIRS = {
    **HEADS,
    "near": {"name": "contrast", "between": ["image", "audio"]},
    "fits": {"name": "match", "swapped": "audio"},
}


@pytest.mark.slow
def test_the_page_says_how_right_each_head_is_and_why(tmp_path):
    encoders = {"image": IMAGE, "audio": AUDIO, "text": {"name": "gru", "hidden": 8}}
    model = {"encoders": encoders, "heads": PAIRS, "fuse": {"name": "gated", "width": 8}}
    recipe = prepared(tmp_path, model=model, evaluation={"explain": 2}, sft={"data": {"steps": 20, "batch": 8}})
    done, told = run(recipe, tmp_path / "run")
    assert told.states[-1] == ("report", "done")
    html, found = (done.folder / "report.html").read_text(), json.loads((done.folder / "evaluation.json").read_text())
    shade = found["heads"]["shade"]
    assert f"{100 * shade['accuracy']:.1f} %" in html
    assert f"{found['heads']['light']['absolute_error']:.3g}" in html
    assert "recall@1" in html
    assert html.count('<article class="explained">') == 2
    assert "Why shade is" in html and "Why light is" in html and re.search(r"Why fits is (a|no) match \(", html)
    names = [one["class"] for one in shade["classes"]]
    assert sum(shade["confusion"][n][n] for n in range(len(names))) == round(shade["accuracy"] * shade["count"])
    assert sum(map(sum, shade["confusion"])) == shade["count"] == 12
    for name in names:
        assert f'<th scope="row">{name}</th>' in html
    assert "Training" in html and "Each head, on the held-out prompts" in html.replace("&#39;", "'")


@pytest.mark.slow
def test_a_head_that_nobody_can_judge_and_no_explanations_leave_a_page_that_says_so(tmp_path):
    def unknown(n: int, kind: int) -> dict[str, object]:
        return {"shade": ("dark", "grey", "bright")[kind]}

    write_prompts(tmp_path)
    write_prompts(tmp_path, 6, "test", seed=1, facts=unknown)
    done, _ = run(prepared(tmp_path, sft={"data": {"steps": 3, "batch": 8}}), tmp_path / "run")
    html = (done.folder / "report.html").read_text()
    assert "no held-out prompt says what is true" in html
    assert "no facts" in html
    assert "Why these answers" not in html
