"""What docs/family.md shows from Python runs as it is written, and learns."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harken.data.media.image import encode_png

PAGE = Path(__file__).parents[2] / "docs" / "family.md"
MOODS = ("calm", "glad", "sad")


@pytest.mark.slow
def test_it_runs_as_written(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"## From Python\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = []
    for n in range(30):
        (tmp_path / f"{n}.png").write_bytes(encode_png(np.full((32, 32, 3), 60 + 80 * (n % 3), np.uint8)))
        content = [{"type": "image", "image": f"{n}.png"}]
        prompt = {"id": f"p{n}", "messages": [{"role": "user", "content": content}], "facts": {"mood": MOODS[n % 3]}}
        lines.append(json.dumps(prompt) + "\n")
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    monkeypatch.chdir(tmp_path)
    # As written, but for fewer and smaller steps.
    shorter = code.replace("SftConfig())", "SftConfig(DemonstrationsConfig(steps=25, batch=10)))")
    assert shorter != code
    exec("from harken.train.sources import DemonstrationsConfig\n" + shorter, {})
    said = capsys.readouterr().out.split("\n")[:30]
    right = [line == f"p{n} {MOODS[n % 3]}" for n, line in enumerate(said)]
    assert sum(right) >= 27
