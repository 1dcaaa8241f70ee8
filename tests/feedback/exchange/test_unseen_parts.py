"""Shipped mappings on parts of their data that nobody here has seen: other names, nothing said, grades left out."""

import numpy as np
import pytest
from benchmarks.reward.recordings import read_recordings
from folders import png, wav, write

from harken.data.blobs import Blobs
from harken.feedback.exchange.load import import_data
from harken.feedback.exchange.mapping import find_mapping
from harken.feedback.exchange.tables import DataError
from harken.feedback.store import FeedbackStore


def spoken(number: int, experts: int = 5, **more: object) -> dict[str, object]:
    grades = {
        name: [float(number + i) for i in range(experts)] for name in ("accuracy", "fluency", "prosodic", "total")
    }
    return {"id": f"u{number}", "speaker": f"s{number % 2}", "text": f"sentence {number}", **grades, **more}


def clip(number: int) -> bytes:
    return wav(np.sin(np.arange(400) / (3 + number)).astype(np.float32))


@pytest.fixture
def speech(tmp_path):
    """A part of other speakers, beside grades of recordings that are not there."""
    everything = [{key: value for key, value in spoken(i, 4).items() if key != "speaker"} for i in range(20)]
    return write(
        tmp_path / "test",
        {
            "test.jsonl": [spoken(0, group="adult", gender="f"), spoken(1), spoken(2, experts=4)],
            "test.zip": {f"u{i}.ogg": clip(i) for i in range(3)},
            "all_ratings.jsonl": everything,
        },
    )


def test_speech_of_another_part_beside_grades_of_everything(tmp_path, speech):
    done = import_data(find_mapping("speechocean"), speech, tmp_path / "out")
    assert (done.prompts, dict(done.answers), done.annotators) == (3, {"rating": 56}, 5)
    assert done.skipped == done.notices == ()
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert [p.facts.get("group") for p in store.prompts()] == ["adult", None, None]


def test_speech_without_its_recording_is_refused_or_left_out(tmp_path, speech):
    write(speech, {"more.jsonl": [spoken(7)]})
    with pytest.raises(DataError, match=r"more.jsonl:1: audio: 'u7.ogg': 'u7.ogg' is in none of the archives"):
        import_data(find_mapping("speechocean"), speech, tmp_path / "out")
    assert len(import_data(find_mapping("speechocean"), speech, tmp_path / "out", skip_bad=True).skipped) == 1


def test_the_benchmark_reads_recordings_with_five_grades_and_says_what_it_passes_over(tmp_path, speech, capsys):
    write(speech, {"more.jsonl": [spoken(1), spoken(7)]})
    read = read_recordings(speech, Blobs(tmp_path / "blobs"))
    # Files go by name: more.jsonl comes before test.jsonl, and of records with one id the first stays.
    assert list(read.prompts) == ["u1", "u0"]
    assert read.speakers == ["s1", "s0"]
    assert read.grades["total"].tolist() == [[1, 2, 3, 4, 5], [0, 1, 2, 3, 4]]
    assert [a.feedback.score for a in read.answers if a.annotator == "expert4"] == [6] * 4 + [5] * 4
    assert [a.key for a in read.answers[:6:5]] == ["u1 fluency 0", "u1 prosodic 0"]
    assert "2 records passed over; the first: more.jsonl:2: audio" in capsys.readouterr().err
    with pytest.raises(DataError, match="holds no file"):
        read_recordings(write(tmp_path / "empty", {"x.txt": ""}), Blobs(tmp_path / "blobs"))


def test_sentences_on_pictures_that_nobody_judged(tmp_path):
    item = {"id": "1-0", "image": "1.png", "sentence": "There is a tower.", "label": True}
    files = {
        "dev.jsonl": [{**item, "evals": {"r1": True, "r4": False}}],
        "hidden.jsonl": [item],
        "dev.zip": {"1.png": png(1)},
        "hidden.zip": {"1.png": png(2)},
    }
    done = import_data(find_mapping("nlvr"), write(tmp_path / "nlvr", files), tmp_path / "out")
    assert (done.prompts, dict(done.answers), done.annotators) == (2, {"ranking": 2}, 2)
    assert done.notices == ("1 records say nothing: their prompts came in without answers",)
    (tmp_path / "nlvr" / "dev.jsonl").unlink()
    done = import_data(find_mapping("nlvr"), tmp_path / "nlvr", tmp_path / "other")
    assert done.prompts == 1
    assert done.notices[1] == "answers.0: no record says anything in evals; is that the field's name?"
