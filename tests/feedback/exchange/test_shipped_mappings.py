"""Every mapping that harken ships, on the whole of its data, against a plain reading of the raw files."""

import csv
import gzip
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harken.feedback.exchange.mapping import shipped

DATA = Path(os.environ.get("HARKEN_DATA", Path(__file__).parents[4] / "shared" / "data"))
pytestmark = pytest.mark.slow


def folder(*names: str) -> Path:
    """The folder of a data set, where its files are there."""
    for name in names:
        if not any(DATA.glob(name)):
            pytest.skip(f"{DATA / name} is absent: this test reads it where it lies")
    return DATA / names[0].split("/")[0]


@dataclass(frozen=True)
class Said:
    """One answer as the database has it, with texts for ids."""

    prompt: str
    annotator: str
    count: int
    texts: tuple[str, ...]
    rest: tuple[object, ...]
    policies: tuple[str, ...]


class Store:
    """What an import left, read with SQL and not with harken."""

    def __init__(self, out: Path):
        with sqlite3.connect(out / "feedback.db") as base:
            self.prompts = {name: json.loads(c) for name, c in base.execute("select id, content from prompts")}
            found = base.execute("select id, text, policy, prompt_id from completions")
            self.completions = {name: tuple(rest) for name, *rest in found}
            rows = base.execute("select kind, annotator, prompt_id, said, people from answers").fetchall()
        self.answers = [self._said(kind, *row) for kind, *row in rows]

    def _said(self, kind: str, annotator: str, prompt: str, written: str, count: int) -> Said:
        said = json.loads(written)
        match kind:
            case "rating":
                names, rest = [said["completion"]], (said["criterion"], said["score"], said["levels"])
            case "comparison":
                names, rest = [said["a"], said["b"]], (said["choice"],)
            case "ranking":
                ((name,),) = said["tiers"]
                names, rest = [name, *sorted(said["rest"], key=lambda n: self.completions[n][0])], ()
        made = [self.completions[name] for name in names]
        assert said["prompt_id"] == prompt
        assert {of for _, _, of in made} == {prompt}
        return Said(prompt, annotator, count, tuple(m[0] for m in made), rest, tuple(m[1] for m in made))

    def parts(self, prompt: str) -> list[dict]:
        return [part for message in self.prompts[prompt]["messages"] for part in message["content"]]

    def words(self, prompt: str) -> str:
        return "".join(part["text"] for part in self.parts(prompt) if part["type"] == "text")

    def medium(self, prompt: str) -> str:
        return next(part["sha256"] for part in self.parts(prompt) if part["type"] != "text")


def harken(*arguments: object) -> str:
    """A process of its own: the checks of types that tests bring with them take minutes on so many records."""
    command = [sys.executable, "-c", "from harken.cli.main import run; run()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def bring(name: str, data: Path, out: Path, *more: object) -> tuple[str, Store]:
    """Import twice; the second time adds nothing."""
    first = harken("data", "import", name, data, "--out", out, *more)
    assert "all new" in first
    assert "skipped 0 of" in first
    store = Store(out)
    assert "new 0, 0 and 0" in harken("data", "import", name, data, "--out", out, *more)
    again = Store(out)
    assert (again.prompts, again.completions, again.answers) == (store.prompts, store.completions, store.answers)
    assert len((out / "prompts.jsonl").read_text().splitlines()) == len(store.prompts)
    for prompt in store.prompts:
        for part in store.parts(prompt):
            if part["type"] != "text":
                digest = part["sha256"]
                assert sha((out / "blobs" / digest[:2] / digest[2:]).read_bytes()) == digest
    return first, store


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lines(path: Path) -> list[dict]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode().split("\n") if line]


def test_caption_contest(tmp_path):
    data = folder("caption_contest/captions_*.jsonl.gz", "caption_contest/contests_*.json")
    told, store = bring("caption_contest", data, tmp_path)
    grades = {"unfunny": 1, "somewhat_funny": 2, "funny": 3}
    raw: Counter = Counter()
    for path in data.glob("captions_*.jsonl.gz"):
        for record in lines(path):
            for name, grade in grades.items():
                if record[name]:
                    raw[(f"caption_contest/{record['contest']}", record["caption"].strip(), grade, record[name])] += 1
    assert Counter((a.prompt, a.texts[0], a.rest[1], a.count) for a in store.answers) == raw
    assert {a.rest[::2] for a in store.answers} == {("funny", 3)}
    assert f"of {sum(votes * count for (*_, votes), count in raw.items())} people" in told
    assert {a.annotator for a in store.answers} == {"caption_contest/crowd"}
    contests = {k: v for p in data.glob("contests_*.json") for k, v in json.loads(p.read_text()).items()}
    for name, prompt in store.prompts.items():
        about = contests[name.split("/")[1]]
        assert about["description"] in store.words(name)
        assert ", ".join(about["anomalies"]) in store.words(name)
        assert prompt["facts"]["sampling"] == about["sampling"]


def test_crema_votes(tmp_path):
    data = folder("crema_votes/votes*.csv")
    _told, store = bring("crema_votes", data, tmp_path)
    emotions = ["anger", "disgust", "fear", "happy", "neutral", "sad"]
    raw: Counter = Counter()
    for path in data.glob("votes*.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                assert sum(int(row[e]) for e in emotions) == int(row["responses"])
                for emotion in emotions:
                    if int(row[emotion]):
                        crowd = f"crema_votes/crowd/{row['modality']}"
                        raw[(row["clip"], row["modality"], crowd, emotion, int(row[emotion]))] += 1
    facts = {name: prompt["facts"] for name, prompt in store.prompts.items()}
    found: Counter = Counter()
    for a in store.answers:
        assert sorted(a.texts) == emotions
        about = facts[a.prompt]
        found[(about["clip"], about["modality"], a.annotator, a.texts[0], a.count)] += 1
        assert about["clip"] == "_".join(about[k] for k in ("speaker", "sentence", "intended")) + about["clip"][12:]
    assert found == raw


def test_esc10(tmp_path):
    data = folder("esc10/human_judgements*.csv", "esc10/fold*.zip")
    told, store = bring("esc10", data, tmp_path)
    sounds = {}
    for path in data.glob("fold*.zip"):
        with zipfile.ZipFile(path) as archive:
            sounds |= {name.removesuffix(".ogg"): sha(archive.read(name)) for name in archive.namelist()}
    raw: Counter = Counter()
    truth = {}
    for path in data.glob("human_judgements*.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                raw[(f"esc10/{row['clip']}", f"esc10/worker{row['worker']}", row["chosen"])] += 1
                truth[f"esc10/{row['clip']}"] = row["true"]
    assert Counter((a.prompt, a.annotator, a.texts[0]) for a in store.answers) == raw
    assert sum(raw.values()) == 3733
    assert {name: store.medium(name) for name in store.prompts} == {n: sounds[n.split("/")[1]] for n in truth}
    assert {name: prompt["references"] for name, prompt in store.prompts.items()} == {n: [t] for n, t in truth.items()}
    assert "annotators 135;" in told


def test_nlvr(tmp_path):
    data = folder("nlvr/*.jsonl", "nlvr/*.zip")
    _told, store = bring("nlvr", data, tmp_path)
    raw: Counter = Counter()
    pictures = {}
    for path in data.glob("*.jsonl"):
        with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
            for record in lines(path):
                name = f"nlvr/{path.stem}-{record['id']}"
                pictures[name] = (sha(archive.read(record["image"])), record["label"])
                assert store.words(name).endswith(record["sentence"].strip())
                for rater, said in record.get("evals", {}).items():
                    raw[(name, f"nlvr/{rater}", str(said).lower())] += 1
    assert Counter((a.prompt, a.annotator, a.texts[0]) for a in store.answers) == raw
    assert {name: (store.medium(name), prompt["facts"]["label"]) for name, prompt in store.prompts.items()} == pictures


def test_speechocean(tmp_path):
    data = folder("speechocean/*.jsonl", "speechocean/*.zip")
    _told, store = bring("speechocean", data, tmp_path)
    raw: Counter = Counter()
    sounds = {}
    for path in data.glob("*.jsonl"):
        if path.name == "all_ratings.jsonl":
            continue
        with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
            for record in lines(path):
                name = f"speechocean/{record['id']}"
                sounds[name] = sha(archive.read(f"{record['id']}.ogg"))
                for criterion in ("accuracy", "fluency", "prosodic", "total"):
                    for expert, grade in enumerate(record[criterion]):
                        said = (record["text"].strip(), criterion, round(grade) + 1, 11)
                        raw[(name, f"speechocean/expert{expert}", *said)] += 1
    assert Counter((a.prompt, a.annotator, *a.texts, *a.rest) for a in store.answers) == raw
    assert {name: store.medium(name) for name in store.prompts} == sounds


def test_text_prefs(tmp_path):
    data = folder("text_prefs/*.json.gz")
    _told, store = bring("text_prefs", data, tmp_path)
    raw: Counter = Counter()
    for path in data.glob("*.json.gz"):
        for record in json.loads(gzip.decompress(path.read_bytes())):
            asked = f"{record['instruction']}\n\n{record['input'] or ''}".strip()
            given = [record["response1"], record["response2"]]
            # One answer is JSON's true, which is no text.
            texts = [str(text).lower() if isinstance(text, bool) else text.strip() for text in given]
            policies = record["cmp_key"].split("_")
            for person in ("annotator1", "annotator2", "annotator3"):
                choice = ("tie", "a", "b")[record[person]]
                raw[(asked, f"text_prefs/{person}", *texts, choice, *policies)] += 1
    found = Counter((store.words(a.prompt), a.annotator, *a.texts, *a.rest, *a.policies) for a in store.answers)
    assert found == raw
    assert sum(raw.values()) == 2997


def test_cifar_human(tmp_path):
    folder("cifar_human/cifar10n_labels.npz", "cifar10/train.npz", "cifar10/classes.json")
    count = 300
    _, store = bring("cifar_human", DATA, tmp_path, "--limit", count)
    classes = json.loads((DATA / "cifar10" / "classes.json").read_text())
    labels = np.load(DATA / "cifar_human" / "cifar10n_labels.npz")
    pictures = np.load(DATA / "cifar10" / "train.npz")
    content, offsets = pictures["data"], pictures["offsets"]
    raw: Counter = Counter()
    shown = {}
    for person in ("random_label1", "random_label2", "random_label3"):
        for i, label in enumerate(labels[person][:count].tolist()):
            raw[(f"cifar_human/train-{i}", f"cifar_human/{person}", classes[label])] += 1
    for i, true in enumerate(labels["clean_label"][:count].tolist()):
        shown[f"cifar_human/train-{i}"] = (sha(content[offsets[i] : offsets[i + 1]].tobytes()), classes[true])
    assert Counter((a.prompt, a.annotator, a.texts[0]) for a in store.answers) == raw
    assert {name: (store.medium(name), prompt["facts"]["class"]) for name, prompt in store.prompts.items()} == shown


def test_each_shipped_mapping_has_its_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(shipped()) <= tested
