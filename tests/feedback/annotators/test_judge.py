"""The judge: exact requests, both orders, its bias, replies that cannot be read, and a server that is away."""

import base64
import io
import math
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow
from said import BY_ID, COMPLETIONS, PROMPTS
from scipy.stats import binomtest

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.openai import ServerError
from harken.feedback.annotators.annotator import Annotator, Concurrent
from harken.feedback.annotators.judge import JudgeAnnotator, JudgeConfig
from harken.feedback.collect import collect
from harken.feedback.position_bias import Judged, append, combined, read, report_of, share
from harken.feedback.queue import Compare, Rank, Rate, plan_questions
from harken.types import Audio, Comparison, Image, Message, Prompt, Rating, Text

sys.path.insert(0, str(Path(__file__).parent))

from fake_judge import FakeJudge, judging

pytestmark = pytest.mark.slow

BY_NAME = {prompt.id: prompt for prompt in PROMPTS}
COMPARE = Compare("p", "p0", "p1")


def judge(server: FakeJudge | str, tmp_path: Path, log: str | None = None, **changes) -> JudgeAnnotator:
    url = server if isinstance(server, str) else server.url
    config = JudgeConfig(url, "tiny-judge", **{"retries": 1, **changes})
    return JudgeAnnotator(config, Blobs(tmp_path / "blobs"), tmp_path / log if log else None)


def by_number(fake: FakeJudge, body) -> str:
    """Prefers the larger number, without a bias."""
    numbers = [int(text.split()[2]) for text in fake.answers(body)]
    if len(numbers) == 1:
        return str(numbers[0] + 1)
    return "tie" if numbers[0] == numbers[1] else "a" if numbers[0] > numbers[1] else "b"


@pytest.fixture
def fair():
    with judging(lambda body: "") as fake:
        fake.says = lambda body: by_number(fake, body)
        yield fake


def test_it_is_an_annotator_that_never_says_it_is_a_person(fair, tmp_path):
    one = judge(fair, tmp_path)
    assert isinstance(one, Annotator) and isinstance(one, Concurrent)
    assert one.kind == "model" and one.id.startswith("judge:tiny-judge:")
    with pytest.raises(TypeError):
        JudgeAnnotator(one.config, one.blobs, kind="human")  # type: ignore[call-arg]
    # Told something else, it is somebody else to the store.
    assert len({judge(fair, tmp_path, **c).id for c in ({}, {"instruction": "Be kind."}, {"criterion": "wit"})}) == 3
    assert judge(fair, tmp_path, timeout=1.0).id == one.id
    assert fair.asked == []


def test_the_exact_request_with_a_picture_and_a_sound(fair, tmp_path, monkeypatch):
    monkeypatch.setenv("HARKEN_TEST_KEY", "secret")
    one = judge(fair, tmp_path, api_key="HARKEN_TEST_KEY", criterion="truth", instruction="Look and listen.")
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    wave = np.linspace(-0.5, 0.5, 160, dtype=np.float32)
    picture, sound = one.blobs.put(encode_png(pixels), "image"), one.blobs.put(encode_wav(wave, 16_000), "audio")
    turns = (
        Message("system", (Text("Be short."),)),
        Message("user", (Text("What is"), Image(picture), Text("and"), Audio(sound))),
    )
    prompts = {"p": Prompt("p", turns)}
    assert one.answer(prompts, COMPARE, BY_ID) == Comparison("p", "p0", "p1", "b", "truth")
    (path, body, headers), (_, other, _) = fair.asked
    assert path == "/v1/chat/completions" and headers["authorization"] == "Bearer secret"
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "tiny-judge",
        "temperature": 0.0,
        "max_tokens": 16,
    }
    system, user = body["messages"]
    assert system["role"] == "system" and user["role"] == "user"
    assert system["content"].startswith("You judge answers to requests, on this criterion: truth. Look and listen. ")
    png, wav = user["content"][5], user["content"][7]
    assert [part.get("text", part["type"]) for part in user["content"]] == [
        "The request:", "[system]", "Be short.", "[user]", "What is", "image_url", "and", "input_audio",
        "Answer a:\nIt is 0 of p.", "Answer b:\nIt is 1 of p.",
        "Which answer is better? Reply with exactly one of: a, b, tie, both_bad.",
    ]  # fmt: skip
    head, _, data = png["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Pillow.open(io.BytesIO(base64.b64decode(data)))), pixels)
    assert wav["input_audio"]["format"] == "wav"
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(wav["input_audio"]["data"])))
    assert rate == 16_000 and heard == pytest.approx(wave, abs=1e-4)
    # The other order is the same request with the answers changed.
    content = other["messages"][1]["content"]
    assert content[:8] == user["content"][:8] and content[10:] == user["content"][10:]
    assert [part["text"] for part in content[8:10]] == ["Answer a:\nIt is 1 of p.", "Answer b:\nIt is 0 of p."]


def test_ratings_and_pairs_of_two_prompts(fair, tmp_path):
    one = judge(f"{fair.url}/v1/", tmp_path)
    assert one.answer(BY_NAME, Rate("p", "p3"), BY_ID) == Rating("p", "p3", 4)
    assert fair.texts(fair.asked[0][1])[-2:] == [
        "The answer:\nIt is 3 of p.",
        "Grade the answer from 1 (worst) to 5 (best). Reply with exactly one of: 1, 2, 3, 4, 5.",
    ]
    across = Compare("p", "p1", "q0", "q")
    assert one.answer(BY_NAME, across, BY_ID) == Comparison("p", "p1", "q0", "a", other_prompt_id="q")
    assert fair.texts(fair.asked[2][1])[:-1] == [
        "The request of answer a:", "[user]", "What is q?", "Answer a:\nIt is 0 of q.",
        "The request of answer b:", "[user]", "What is p?", "Answer b:\nIt is 1 of p.",
    ]  # fmt: skip
    assert one.answer(BY_NAME, Compare("p", "p1", "q1", "q"), BY_ID).choice == "tie"
    assert (one.report().disagreed, one.report().ratings) == (0, 1)
    with pytest.raises(ValueError, match=r"feedback\.rankings=0"):
        one.answer(BY_NAME, Rank("p", ("p0", "p1", "p2")), BY_ID)


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        (("a", "b"), ("a", False)), (("b", "a"), ("b", False)), (("tie", "tie"), ("tie", False)),
        (("both_bad", "both_bad"), ("both_bad", False)), (("a", "a"), ("tie", True)), (("b", "b"), ("tie", True)),
        (("a", "tie"), ("tie", True)), (("both_bad", "a"), ("tie", True)),
    ],
)  # fmt: skip
def test_two_replies_are_one_answer(replies, said):
    assert combined(replies) == said


@pytest.mark.parametrize(("word", "favours"), [("a", "first"), ("b", "second")])
def test_a_judge_that_goes_by_position_is_found_out(word, favours, tmp_path, store):
    plan = plan_questions(COMPLETIONS, {"comparison": 12}, ["x"], 1, 0)
    with judging(lambda body: word) as fake:
        one = judge(fake, tmp_path)
        said = [one.answer(BY_NAME, assignment.question, BY_ID) for assignment in plan]
    assert {comparison.choice for comparison in said} == {"tie"}
    report = one.report()
    assert (report.pairs, report.disagreed, report.decisive) == (12, 12, 24)
    assert report.favours == favours and f"favours the {favours}" in report.text() and "(a model)" in report.text()
    assert report.to_json()["disagreement"]["share"] == 1.0 and report.to_json()["judge_kind"] == "model"


def test_a_fair_judge_is_not_and_its_answers_are_a_model_s_in_the_store(fair, tmp_path, store):
    one = judge(fair, tmp_path, "judge.jsonl", concurrency=3)
    fair_says, gate = fair.says, threading.Barrier(3)

    def together(body):
        if len(fair.asked) <= 3:
            gate.wait(10)
        return fair_says(body)

    fair.says = together
    plan = plan_questions(COMPLETIONS, {"comparison": 12, "rating": 4}, [one.id], 1, 0)
    assert collect(store, plan, {one.id: one}).answered == 16
    assert fair.most == 3 and len(fair.asked) == 28
    answers = store.answers()
    assert [a.key for a in answers] == [a.key for a in plan]
    assert {(a.annotator, a.annotator_kind, a.seconds) for a in answers} == {(one.id, "model", None)}
    report = one.report()
    assert (report.pairs, report.disagreed, report.decisive, report.first) == (12, 0, 24, 12)
    assert (report.favours, report.ratings, report.skipped) == (None, 4, 0)
    # Nothing is asked twice, and a new process knows what the old one counted.
    assert collect(store, plan, {one.id: judge(fair, tmp_path, "judge.jsonl")}).before == 16
    assert len(fair.asked) == 28
    assert judge(fair, tmp_path, "judge.jsonl").report() == report
    assert judge(fair, tmp_path, "judge.jsonl", criterion="wit").report().pairs == 0


@pytest.mark.parametrize("reply", ["A is better", "c", "", "ab", "a.", "both bad", None])
def test_what_cannot_be_read_is_asked_for_once_more_then_skipped_and_counted(reply, tmp_path):
    def broken(body):
        return {"choices": [{"message": {"content": reply}}]}

    with judging(broken) as fake:
        one = judge(fake, tmp_path)
        assert one.answer(BY_NAME, COMPARE, BY_ID) is None
        assert len(fake.asked) == 2
        assert fake.asked[1][1]["messages"][:2] == fake.asked[0][1]["messages"]
        again = fake.asked[1][1]["messages"][2:]
        assert again[0] == {"role": "assistant", "content": reply or "..."}
        assert again[1] == {
            "role": "user", "content": "That could not be read. Reply with exactly one of: a, b, tie, both_bad."
        }  # fmt: skip
        assert one.answer(BY_NAME, Rate("p", "p0"), BY_ID) is None
        assert (one.report().skipped, one.report().again, one.report().pairs) == (2, 2, 0)
        fake.says = lambda body: " TIE\n" if len(body["messages"]) == 4 else "hm"
        assert one.answer(BY_NAME, COMPARE, BY_ID).choice == "tie"
        # The newest of a question counts.
        assert (one.report().skipped, one.report().again, one.report().pairs) == (1, 3, 1)
        assert math.isnan(one.report().first_share[0]) and one.report().to_json()["first_share"] is None


def test_a_server_that_is_busy_away_or_another_is_named(fair, tmp_path, monkeypatch, store):
    monkeypatch.setattr("harken.data.openai.time.sleep", lambda seconds: None)
    one = judge(fair, tmp_path)
    fair.busy = 1
    assert one.answer(BY_NAME, COMPARE, BY_ID) is not None
    assert len(fair.asked) == 3
    with pytest.raises(ServerError, match=r"127.0.0.1:9/v1/chat/completions failed \(ConnectError.*is it running"):
        judge("http://127.0.0.1:9", tmp_path).answer(BY_NAME, COMPARE, BY_ID)
    for wrong, words in ((b"<html>", "no JSON"), ({"detail": "?"}, "OpenAI-compatible")):
        fair.says = lambda body, wrong=wrong: wrong
        with pytest.raises(ServerError, match=words):
            one.answer(BY_NAME, COMPARE, BY_ID)
    # What was answered before the server went away is kept.
    told = []
    fair.says = lambda body: told.append(1) or ("tie" if len(told) <= 4 else {})
    plan = plan_questions(COMPLETIONS, {"comparison": 12}, [one.id], 1, 0)
    with pytest.raises(ServerError):
        collect(store, plan, {one.id: judge(fair, tmp_path, concurrency=1)})
    assert len(store.answers()) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "localhost:8000"}, "http://"), ({"model": ""}, "/v1/models"), ({"criterion": " "}, "a criterion"),
        ({"concurrency": 0}, "above 0"), ({"retries": -1}, "from 0 up"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        JudgeConfig(**{"url": "http://x", "model": "m", **changes})


def test_a_key_that_is_not_set_is_named(fair, tmp_path):
    with pytest.raises(ValueError, match="HARKEN_TEST_KEY"):
        judge(fair, tmp_path, api_key="HARKEN_TEST_KEY")


@pytest.mark.parametrize(("count", "total"), [(0, 5), (5, 5), (3, 7), (140, 220)])
def test_the_interval_is_wilson_s(count, total):
    theirs = binomtest(count, total).proportion_ci(method="wilson")
    assert share(count, total) == pytest.approx((count / total, theirs.low, theirs.high))
    assert math.isnan(share(0, 0)[1])


def test_half_a_line_of_a_killed_process_is_passed_over(tmp_path):
    path, first, last = tmp_path / "judge.jsonl", Judged("j", ("x", "y"), ("a", "b")), Judged("j", ("y",), ("3",), 1)
    append(path, first)
    with path.open("a") as log:
        log.write('{"judge": "j", "shown": ["z')
    append(path, last)
    assert read(path) == [first, last]
    assert report_of("j", read(path)).ratings == 1
    assert read(tmp_path / "none.jsonl") == []
