import base64
import io
import re
import wave
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from harken.evaluate.metrics.calibration import reliability_bins
from harken.evaluate.metrics.win_rate import win_rate
from harken.evaluate.plots import Bar, Series, bars, curves, gold_against_proxy, outcomes, reliability, smoothed
from harken.evaluate.report import (
    Example,
    FeedbackRow,
    Headline,
    Mark,
    Plot,
    Report,
    Section,
    Shown,
    StageRow,
    Table,
    duration,
    render,
    write_report,
)

VOID = {"meta", "img", "link", "br", "input", "hr"}


def picture(digits=2, seed=0):
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (8, 8 * digits), dtype=np.uint8)).save(out, format="PNG")
    return out.getvalue()


def sound(seconds=0.4):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = np.sin(np.arange(int(8000 * seconds)) * 0.3) * 9000
        file.writeframes(tone.astype("<i2").tobytes())
    return out.getvalue()


def sections():
    rng = np.random.default_rng(1)
    steps = np.arange(120)
    kl = np.sqrt(np.linspace(0.01, 9, 120))
    reward = 1.4 * (1 - np.exp(-steps / 40)) + rng.normal(0, 0.18, 120)
    gold = 0.55 + 0.35 * (1 - np.exp(-steps / 30)) - 0.0006 * steps + rng.normal(0, 0.03, 120)
    p = rng.uniform(0.02, 0.98, 600)
    won = (rng.uniform(size=600) < 0.85 * p + 0.075).astype(float)
    tasks = ["read the number", "say the number", "do they agree", "the sum"]
    rates = {name: win_rate(rng.normal(0.7 + 0.1 * i, 1, 80), rng.normal(0, 1, 80)) for i, name in enumerate(tasks)}
    before = [Bar(name, 0.7 + 0.05 * i, 0.6 + 0.05 * i, 0.78 + 0.05 * i) for i, name in enumerate(tasks)]
    after = [Bar(name, 0.76 + 0.05 * i, 0.68 + 0.05 * i, 0.83 + 0.05 * i) for i, name in enumerate(tasks)]
    training = curves(
        (
            smoothed("reward", steps, reward, 9),
            Series("KL to the reference", steps, kl**2 / 9, axis="right"),
        ),
        "Reward and KL along PPO",
        "PPO step",
        "mean reward",
        "nats a sequence",
    )
    learning = curves(
        (
            Series("training", steps, 3.2 * np.exp(-steps / 25) + 0.3),
            Series("held out", steps, 3.2 * np.exp(-steps / 25) + 0.38, dashed=True),
        ),
        "Supervised loss",
        "step",
        "loss (nats a token)",
    )
    return (
        Section(
            "Is it better?",
            (
                Plot(
                    "Aligned against supervised, by task",
                    outcomes(rates, "Wins, ties and losses by task"),
                    "Each bar holds all held-out prompts of a task. The point is the win rate (ties count half) with "
                    "its 95 % interval; right of the dashed line the aligned model is ahead.",
                ),
                Plot(
                    "Exactness by task",
                    bars({"supervised": before, "aligned": after}, "Exactness by task", "right answers", (0.0, 1.0)),
                    "Share of answers that state the true number, with Wilson's 95 % interval. Style was not bought "
                    "with truth where the blue bar is no shorter than the grey one.",
                ),
            ),
        ),
        Section(
            "Training",
            (
                Plot("Reward and KL along PPO", training, "Mean reward of the rollouts (moving mean, band of one "
                     "standard deviation), and how far the policy has moved from the supervised model."),
                Plot("Gold against learned reward", gold_against_proxy(kl, reward, gold, "Gold against learned reward"),
                     "Where the learned reward still rises and the gold score falls, the policy exploits its reward "
                     "model. Both rising is what one hopes to see."),
                Plot("Supervised loss", learning, "Cross-entropy of the demonstrations."),
                Plot("Calibration of the reward model", reliability(reliability_bins(p, won)), "A calibrated model "
                     "lies on the diagonal: of the pairs to which it gives 80 %, 80 % are won."),
            ),
            "How the three models learnt. All curves are of this run.",
        ),
    )  # fmt: skip


def sample():
    said = "I can see the number 47 in the picture."
    examples = tuple(
        Example(
            ("What number do you see, and do you hear the same?", picture(1 + i, i), *((sound(),) if i != 1 else ())),
            Shown("It is 41." if i else "", (Mark("wrong", tone="bad"), Mark("gold", "0.21"))),
            Shown(said, (Mark("exact", tone="good"), Mark("gold", "0.93"))),
            "The picture shows 47." if i != 2 else "图片里的数字是四十七。",
            ("after", "tie", "before")[i],
            ("read the number", "say the number", "do they agree")[i],
        )
        for i in range(3)
    )
    return Report(
        title="Did people's preferences make the assistant better?",
        subtitle="A 0.3 M-parameter model before and after PPO on 2,400 answers of three annotators, "
        "on 320 held-out prompts.",
        notice="The annotators in this run are simulated: they follow a hidden rule with noise. No person was asked.",
        headlines=(
            Headline("Win rate of the aligned model", "0.87", "95 % interval 0.83 to 0.90; ties count half", "good"),
            Headline("Exactness", "0.79", "before 0.74; 95 % interval 0.74 to 0.83", "good"),
            Headline("Reward-model accuracy", "0.86", "against gold; 0.75 against answers, whose ceiling is 0.85"),
            Headline("KL to the reference", "4.1", "nats a sequence, ± 0.1"),
        ),
        tables=(
            Table(
                ("measure", "supervised", "aligned", "95 % interval"),
                (
                    ("win rate by gold preference", "", "0.87", "0.83 to 0.90"),
                    ("exactness", "0.74", "0.79", "0.74 to 0.83"),
                    ("BLEU", "61.2", "63.0", ""),
                    ("ROUGE-L", "78.4", "80.1", ""),
                    ("mean gold score", "0.46", "0.81", "0.78 to 0.84"),
                ),
                "Held-out prompts, greedy answers.",
            ),
        ),
        sections=sections(),
        examples=examples,
        examples_note="Drawn by the seed, not chosen. The hidden rule decides which is preferred.",
        before_name="Supervised",
        after_name="Aligned",
        feedback=(
            FeedbackRow("comparison", "ada", "simulated", ("What number is it?", picture()), "“It is 7.” over “7”"),
            FeedbackRow("rating", "ben", "simulated", ("Add them.", sound()), "4 of 5: “Together they make 9.”"),
            FeedbackRow("edit", "cy", "simulated", ("What was said?",), "“its 3” became “I heard the number 3.”"),
        ),
        feedback_note="A few of 2,400 answers: 1,400 comparisons, 700 ratings, 300 edits.",
        stages=(
            StageRow("supervised training", 48.2, 512.0),
            StageRow("feedback", 12.0, 520.4, skipped=True),
            StageRow("reward model", 31.7, 610.0),
            StageRow("PPO", 95.1, 742.0),
            StageRow("evaluation", 9.3),
        ),
        settings={"seed": 0, "algorithm": {"name": "ppo", "clip": 0.2, "betas": (0.9, 0.95)}, "note": None},
        machine={"harken": "0.1.0", "torch": "2.13.0", "python": "3.11.9", "machine": "2 cores, x86_64"},
    )


class Page(HTMLParser):
    """The tags, attributes and text of a page; fails where tags are not nested properly."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def report():
    return sample()


@pytest.fixture(scope="module")
def page(report):
    return Page(render(report))


def test_the_page_is_whole_and_named(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert len(page.ids) == len(set(page.ids)), "ids of one page are unique, those of the drawings too"
    targets = [attrs["href"][1:] for attrs in page.all("a")]
    assert set(targets) <= set(page.ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no heading level is left out"


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(page):
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for tag, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
                assert value.startswith(("data:", "#")), (tag, name, value[:60])
    text = re.sub(r"data:[a-z/]+;base64,[\w+/=]+", "", render(sample()))
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


def test_media_come_back_as_they_were_given(report, page):
    def decoded(tag, kind):
        found = [attrs["src"] for attrs in page.all(tag)]
        assert all(uri.startswith(f"data:{kind};base64,") for uri in found)
        return [base64.b64decode(uri.split(",", 1)[1], validate=True) for uri in found]

    prompts = [example.prompt for example in report.examples] + [row.prompt for row in report.feedback]
    media = [part for prompt in prompts for part in prompt if isinstance(part, bytes)]
    assert decoded("img", "image/png") == [part for part in media if part.startswith(b"\x89PNG")]
    assert decoded("audio", "audio/wav") == [part for part in media if part.startswith(b"RIFF")]
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all("controls" in attrs and attrs["aria-label"] for attrs in page.all("audio"))


def test_small_pictures_are_enlarged_without_blur(page):
    shown = page.all("img")[2]  # three digits: 24 pixels wide, 8 high
    assert shown["class"] == "pixels"
    assert (int(shown["width"]), int(shown["height"])) == (24 * 9, 8 * 9)
    large = io.BytesIO()
    Image.new("L", (640, 480)).save(large, format="PNG")
    shown = Page(render(Report("t", examples=(Example((large.getvalue(),), Shown("a"), Shown("b")),)))).all("img")[0]
    assert "width" not in shown


EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">&amp;\'"'


def test_what_others_wrote_is_text_and_nothing_else():
    report = Report(
        title=EVIL,
        subtitle=EVIL,
        notice=EVIL,
        headlines=(Headline(EVIL, EVIL, EVIL),),
        tables=(Table((EVIL, EVIL), ((EVIL, EVIL),), EVIL),),
        sections=(Section(EVIL, (Plot(EVIL, curves((Series(EVIL, [0], [1]),), EVIL, EVIL, EVIL), EVIL),), EVIL),),
        examples=(Example((EVIL,), Shown(EVIL, (Mark(EVIL, EVIL),)), Shown(EVIL), EVIL, "after", EVIL),),
        examples_note=EVIL,
        before_name=EVIL,
        after_name=EVIL,
        feedback=(FeedbackRow(EVIL, EVIL, "human", (EVIL,), EVIL),),
        feedback_note=EVIL,
        stages=(StageRow(EVIL, 1.0),),
        settings={EVIL: [EVIL, {EVIL: EVIL}]},
        machine={EVIL: EVIL},
    )
    text = render(report)
    page = Page(text)
    assert "<script" not in text and not page.all("img")
    assert sum("<script>alert(1)</script>" in words for words in page.words) > 25, "it is shown, as text"
    assert EVIL in page.words


def test_half_a_surrogate_pair_does_not_break_the_page(tmp_path):
    path = write_report(tmp_path / "r.html", Report("t", examples=(Example(("q",), Shown("\ud83d"), Shown("😀")),)))
    assert "😀" in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_same_report_gives_the_same_bytes(tmp_path, report):
    first = write_report(tmp_path / "deep" / "a.html", report).read_bytes()
    second = write_report(tmp_path / "b.html", sample()).read_bytes()
    assert first == second
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.html", "b.html"]


def test_a_page_that_fails_leaves_the_old_one(tmp_path):
    path = write_report(tmp_path / "r.html", Report("first"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot be put into a page"):
        write_report(path, Report("second", examples=(Example((b"GIF or so",), Shown("a"), Shown("b")),)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_ragged_table_is_refused():
    with pytest.raises(ValueError, match="2 columns"):
        render(Report("t", tables=(Table(("a", "b"), (("1",),)),)))


def test_settings_are_yaml_in_their_order(page):
    block = next(words for words in page.words if words.startswith("seed: 0"))
    assert "algorithm:\n  name: ppo\n  clip: 0.2\n  betas:\n  - 0.9\n  - 0.95\nnote: null\n" in block


def test_what_is_empty_is_left_out(report):
    page = Page(render(Report("bare")))
    assert not page.all("section") and not page.all("table") and not page.all("details")
    only = Page(render(replace(report, feedback=(), stages=(), settings={}, machine={})))
    assert "feedback" not in only.ids and "run" not in only.ids and "examples" in only.ids


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (7800, "2 h 10 min")],
)  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(float(seconds)) == text


def contrast(first, second):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_contrast_that_wcag_aa_asks_for():
    text = render(Report("t"))
    blocks = re.findall(r":root \{([^}]*)\}", text)
    for block in blocks[:2]:  # light, dark
        colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        pairs = [(fore, back) for fore in ("ink", "quiet", "accent", "good", "bad") for back in ("paper", "card")]
        pairs += [("quiet", "soft"), ("good", "good-soft"), ("bad", "bad-soft"), ("note", "note-soft")]
        for fore, back in pairs:
            assert contrast(colour[fore], colour[back]) >= 4.5, (fore, back)
