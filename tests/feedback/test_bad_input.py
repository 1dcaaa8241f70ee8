"""Bad input of every kind, as docs/feedback.md says: refused with a reason, or kept and flagged. Nothing is lost."""

import pytest
from said import COMPLETIONS, PROMPTS, compared

from harken.feedback.records import feedback_from_json
from harken.feedback.stats import feedback_stats
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Completion, Edit, Message, Prompt, Ranking, Rating, Text

REFUSED = {
    "a completion compared with itself": (Comparison("p", "p0", "p0", "a"), "compared with itself"),
    "a completion that is not there": (Comparison("p", "p0", "none", "a"), "there is no completion 'none'"),
    "a completion of another prompt": (Comparison("p", "p0", "q0", "a"), "answers prompt 'q'"),
    "a grade above the scale": (Rating("p", "p0", 6), "from 1 to 5, not 6"),
    "a grade below the scale": (Rating("p", "p0", 0), "from 1 to 5, not 0"),
    "a scale of one": (Rating("p", "p0", 1, 1), "at least 2 levels"),
    "an edit that changes nothing": (Edit("p", "p0", COMPLETIONS[0].text), "changes nothing"),
    "an edit that leaves nothing": (Edit("p", "p0", " "), "revision is empty"),
    "a ranking that names one twice": (Ranking("p", (("p0",), ("p0",))), "stands in it twice"),
    "a ranking of one": (Ranking("p", (("p0",),)), "at least two"),
    "a ranking of prompts' completions mixed": (Ranking("p", (("p0",), ("q0",))), "answers prompt 'q'"),
}
ENVELOPES = {
    "minus a second": ({"seconds": -1.0}, "took -1.0 seconds"),
    "no number of seconds": ({"seconds": float("nan")}, "took nan seconds"),
    "said by nobody": ({"count": 0}, "said by at least one"),
    "no annotator": ({"annotator": ""}, "needs a key and an annotator"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused_with_a_reason_and_leaves_nothing(store: FeedbackStore, what):
    said, why = REFUSED[what]
    with pytest.raises(ValueError, match=why):
        store.add_answers([compared("bob", "p0", "p1", "a"), Answer("k", "ada", "human", said)])
    assert store.answers() == []


def test_a_choice_that_there_is_not_is_refused_where_it_is_read():
    with pytest.raises(ValueError, match="the choice is one of a, b, tie, both_bad, not 'left'"):
        feedback_from_json("comparison", {"prompt_id": "p", "a": "p0", "b": "p1", "choice": "left"})


@pytest.mark.parametrize("what", ENVELOPES)
def test_an_envelope_that_makes_no_sense_is_refused(store: FeedbackStore, what):
    change, why = ENVELOPES[what]
    fields = {"key": "k", "annotator": "ada", "annotator_kind": "human", "feedback": Rating("p", "p0", 3), **change}
    with pytest.raises(ValueError, match=why):
        store.add(Answer(**fields))
    assert store.answers() == []


def flagged(store: FeedbackStore) -> dict[str, set[str]]:
    out: dict[str, set[str]] = {}
    for flag in feedback_stats(store.prompts(), store.completions(), store.answers()).flags:
        out.setdefault(flag.annotator, set()).add(flag.what)
    return out


def test_the_same_key_twice_is_one_answer_and_no_flag(store: FeedbackStore):
    first = compared("ada", "p0", "p1", "a", key="k")
    assert store.add(first) == first
    assert store.add(compared("ada", "p0", "p1", "b", key="k")) == first
    assert len(store.answers()) == 1 and flagged(store) == {}


def test_the_same_answer_under_two_keys_is_kept_and_flagged(store: FeedbackStore):
    store.add_answers([compared("ada", "p0", "p1", "a", key=key) for key in "kl"])
    assert len(store.answers()) == 2
    assert flagged(store) == {"ada": {"duplicates"}}


def test_contradictory_answers_are_kept_and_flagged_and_an_amended_one_is_no_contradiction(store: FeedbackStore):
    store.add_answers([compared("ada", "p0", "p1", "a", key="k"), compared("ada", "p1", "p0", "a", key="l")])
    bob = [compared("bob", "p0", "p1", "a", key="m"), compared("bob", "p0", "p1", "b", key="n")]
    store.add_answers([bob[0], Answer("n", "bob", "human", bob[1].feedback, amends="m")])
    assert len(store.answers(amended=True)) == 4
    assert flagged(store) == {"ada": {"contradictions"}}


def test_always_left_and_200_ms_are_kept_and_flagged(tmp_path):
    prompts = [Prompt(f"p{n}", (Message("user", (Text("?"),)),)) for n in range(12)]
    made = [Completion(f"p{n}{c}", f"p{n}", f"{c} of {n}", "m") for n in range(12) for c in "xy"]
    with FeedbackStore(tmp_path / "feedback.db") as store:
        store.add_prompts(prompts)
        store.add_completions(made)
        for n in range(12):
            left = Comparison(f"p{n}", *((f"p{n}x", f"p{n}y") if n % 2 else (f"p{n}y", f"p{n}x")), "a")
            store.add(Answer(f"l{n}", "lefty", "human", left, 8.0))
            store.add(Answer(f"h{n}", "hasty", "human", Comparison(f"p{n}", f"p{n}x", f"p{n}y", "ab"[n % 2]), 0.2))
        assert flagged(store) == {"lefty": {"one side"}, "hasty": {"too quick"}}
        assert len(store.answers()) == 24


def test_prompts_and_completions_stay_as_they_were(store: FeedbackStore):
    assert store.prompts() == PROMPTS and store.completions() == COMPLETIONS
