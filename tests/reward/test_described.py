"""Rewards on what can be measured, of tones and colours made in code."""

import numpy as np
import pytest
import torch

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.reward.combining import Combining
from harken.reward.described import DescribedConfig, Describer, load_described_reward, train_described_reward
from harken.reward.linear import LinearConfig
from harken.types import Answer, Audio, Comparison, Completion, Image, Message, Prompt, Ranking, Rating, Text

pytestmark = pytest.mark.slow

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
RATE = 16_000


@pytest.fixture
def blobs(tmp_path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def pictures(blobs: Blobs, count: int = 60) -> tuple[dict, dict, list[Answer]]:
    """Colours of many shades, of which people chose the name, now and then a wrong one."""
    rng = np.random.default_rng(0)
    prompts, completions, answers = {}, {}, []
    for n in range(count):
        name = list(COLOURS)[n % 3]
        shade = np.clip(rng.normal(COLOURS[name], 30), 0, 255).astype(np.uint8)
        pixels = np.broadcast_to(shade, (12, 16, 3)).copy()
        picture = Image(blobs.put(encode_png(pixels), "image"))
        prompt = Prompt(f"p{n}", (Message("user", (picture, Text("Which colour?"))),), facts={"colour": name})
        prompts[prompt.id] = prompt
        made = {colour: Completion(f"p{n} {colour}", prompt.id, colour, "label") for colour in COLOURS}
        completions |= {c.id: c for c in made.values()}
        chosen = name if rng.random() < 0.9 else "red"
        rest = tuple(c.id for colour, c in made.items() if colour != chosen)
        answers.append(Answer(f"a{n}", "ada", "simulated", Ranking(prompt.id, ((made[chosen].id,),), rest)))
    return prompts, completions, answers


def test_choices_among_names_are_learnt_and_a_changed_picture_changes_the_score(blobs, tmp_path):
    prompts, completions, answers = pictures(blobs)
    describer = Describer(blobs, tuple(COLOURS))
    config = DescribedConfig(heads=3, linear=LinearConfig())
    reward = train_described_reward(prompts, completions, answers[:40], describer, config)
    unseen = [f"p{n}" for n in range(40, 60)]
    right = 0
    for name in unseen:
        listed = [c for c in completions.values() if c.prompt_id == name]
        mean = reward.scores(listed, prompts, describer).mean(1)
        right += listed[int(mean.argmax())].text == prompts[name].facts["colour"]
    assert right >= 18
    red, green = (next(p for p in unseen if prompts[p].facts["colour"] == colour) for colour in ("red", "green"))
    said = completions[f"{red} red"]
    swapped = {**prompts, red: Prompt(red, prompts[green].messages)}
    before, after = (reward.scores([said], told, describer).mean() for told in (prompts, swapped))
    assert after < before - 0.5
    reward.save(tmp_path / "reward")
    back = load_described_reward(tmp_path / "reward")
    listed = list(completions.values())[:9]
    assert torch.equal(back.scores(listed, prompts, describer), reward.scores(listed, prompts, describer))
    with pytest.raises(ValueError, match="learnt with chosen"):
        back.scores(listed, prompts, Describer(blobs))
    with pytest.raises(ValueError, match="none of"):
        reward.scores([Completion("x", red, "purple", "label")], prompts, describer)


def test_grades_of_sounds_across_prompts_come_out_on_the_scale_they_were_given_on(blobs, tmp_path):
    """The louder tone gets the better grade, and is chosen over the softer one."""
    rng = np.random.default_rng(0)
    loudness = rng.uniform(0.01, 0.9, 60)
    prompts, completions, answers = {}, {}, []
    for n, level in enumerate(loudness):
        wave = level * np.sin(np.arange(RATE // 2) * 0.1) + rng.normal(0, 0.002, RATE // 2)
        sound = Audio(blobs.put(encode_wav(wave.astype(np.float32), RATE), "audio"))
        prompts[f"p{n}"] = Prompt(f"p{n}", (Message("user", (sound, Text("a tone"))),), facts={"room": n % 7})
        completions[f"p{n}"] = Completion(f"p{n}", f"p{n}", "a tone", "bench")
        answers.append(Answer(f"r{n}", "ada", "simulated", Rating(f"p{n}", f"p{n}", 1 + int(level * 5), 5, "loud")))
        m = int(rng.integers(60))
        if m != n:
            choice = "a" if level > loudness[m] else "b"
            said = Comparison(f"p{n}", f"p{n}", f"p{m}", choice, "loud", f"p{m}")
            answers.append(Answer(f"c{n}", "ben", "simulated", said))
    describer = Describer(blobs, words=False)
    config = DescribedConfig(
        heads=2, criterion="loud", group_by="room", combining=Combining("worst"), linear=LinearConfig(landmarks=60)
    )
    reward = train_described_reward(prompts, completions, answers, describer, config)
    scores = reward.scores(list(completions.values()), prompts, describer)
    assert float(scores.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(scores.mean(1).std()) == pytest.approx(1.0, abs=1e-6)
    grades = reward.expected_grade(list(completions.values()), prompts, describer, 5)
    assert torch.corrcoef(torch.stack([grades, torch.tensor(loudness)]))[0, 1] > 0.9
    assert grades.min() >= 1 and grades.max() <= 5
    reward.save(tmp_path / "reward")
    assert load_described_reward(tmp_path / "reward").combining == Combining("worst")
    with pytest.raises(ValueError, match="no answer is on the criterion 'overall'; there are loud"):
        train_described_reward(prompts, completions, answers, describer)


def test_prompts_with_other_media_are_refused(blobs, tmp_path):
    prompts, completions, answers = pictures(blobs, 6)
    prompts["p0"] = Prompt("p0", (Message("user", (Text("no picture"),)),))
    with pytest.raises(ValueError, match="same media in the same order"):
        train_described_reward(prompts, completions, answers, Describer(blobs, tuple(COLOURS)))
    with pytest.raises(FileNotFoundError, match="holds no described reward"):
        load_described_reward(tmp_path)
