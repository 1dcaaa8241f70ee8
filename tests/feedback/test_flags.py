"""What is odd is flagged in words with numbers, what is not is not, and nothing is dropped."""

import random

import pytest
from planted import BAD, GOOD, fill
from said import BY_ID, COMPLETIONS, PROMPTS, compared

from harken.feedback.flags import Flag, FlagConfig, Repeats, circles, flags_of, repeats, sides, too_quick, with_others
from harken.feedback.stats import feedback_stats
from harken.feedback.store import FeedbackStore
from harken.feedback.tables import tables
from harken.types import Answer, Comparison, Completion, Message, Prompt, Rating, Text


def flags(answers: list[Answer], **settings: float) -> dict[str, set[str]]:
    found = feedback_stats(PROMPTS, COMPLETIONS, answers, FlagConfig(**settings)).flags
    out: dict[str, set[str]] = {}
    for flag in found:
        assert any(character.isdigit() for character in flag.text), "a flag has numbers"
        out.setdefault(flag.annotator, set()).add(flag.what)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_planted_annotators_are_found_and_nobody_else_is(tmp_path, seed):
    with FeedbackStore(tmp_path / "feedback.db") as store:
        fill(store, seed)
        answers = store.answers()
        found = feedback_stats(store.prompts(), store.completions(), answers)
    whats: dict[str, set[str]] = {}
    for flag in found.flags:
        whats.setdefault(flag.annotator, set()).add(flag.what)
    assert not whats.keys() & set(GOOD), found.flags
    for name, what in BAD.items():
        assert what in whats[name], (name, whats)
    assert whats["hasty"] == {"too quick"}
    assert whats["contrary"] == {"opposite"}
    assert sum(one.answers for one in found.annotators) == len(answers) == 60 * (9 + 5)


def grades(who: str, scores: list[int], levels: int = 5) -> list[Answer]:
    return [
        Answer(f"{who}{n}", who, "human", Rating(f"x{n}", f"x{n}", score, levels)) for n, score in enumerate(scores)
    ]


def of_grades(answers: list[Answer], **settings: float) -> dict[str, Flag]:
    completions = {
        a.feedback.completion: Completion(a.feedback.completion, a.feedback.prompt_id, "", "m") for a in answers
    }
    (table,) = tables(answers, completions)
    return {f"{flag.annotator} {flag.what}": flag for flag in flags_of(table, FlagConfig(**settings))}


def test_one_grade_for_everything_and_severity():
    chance = random.Random(0)
    truth = [chance.randint(2, 5) for _ in range(30)]
    usual = [*grades("ada", truth), *grades("bob", [min(5, max(1, g + chance.choice((-1, 0, 1)))) for g in truth])]
    found = of_grades([*usual, *grades("flat", [3] * 30), *grades("harsh", [max(1, g - 2) for g in truth])])
    assert "flat one grade" in found and "3 to all of 30" in found["flat one grade"].text
    assert "harsh severity" in found and "below the others" in found["harsh severity"].text
    assert found["harsh severity"].figures["high"] < -1
    assert not {name for name in found if name.startswith(("ada", "bob"))}
    # Where everybody gives the grade, it is the items.
    same = [*grades("ada", [4] * 12), *grades("bob", [4] * 12)]
    assert not of_grades(same)
    assert set(of_grades(grades("ada", [4] * 12))) == {"ada one grade"}


def test_a_side_is_not_the_annotators_where_the_others_chose_it_too():
    """Data in which the better one is always named first."""
    prompts = [Prompt(f"p{n}", (Message("user", (Text("?"),)),)) for n in range(30)]
    made = [Completion(f"p{n}{c}", f"p{n}", c, "m") for n in range(30) for c in "xy"]
    answers = []
    for who in ("ada", "bob"):
        for n, prompt in enumerate(prompts):
            answers.append(Answer(f"{who}{n}", who, "human", Comparison(prompt.id, f"p{n}x", f"p{n}y", "a")))
    assert not feedback_stats(prompts, made, answers).flags
    alone = feedback_stats(prompts, made, [answer for answer in answers if answer.annotator == "ada"]).flags
    assert [(flag.annotator, flag.what) for flag in alone] == [("ada", "one side")]


def test_contradictions_are_kept_and_flagged():
    answers = [compared("ada", "p0", "p1", "a"), compared("ada", "p1", "p0", "a")]
    assert flags(answers) == {"ada": {"contradictions"}}
    (table,) = tables(answers, BY_ID)
    assert repeats(table, "ada") == Repeats(1, 0, 1)
    tie = [compared("ada", "p0", "p1", "a"), compared("ada", "p1", "p0", "tie")]
    assert flags(tie) == {}, "a tie contradicts nothing"


def test_circles_are_flagged():
    answers = [compared("ada", "p0", "p1", "a"), compared("ada", "p1", "p2", "a"), compared("ada", "p2", "p0", "a")]
    assert flags(answers) == {"ada": {"circles"}}
    answers[2] = compared("ada", "p2", "p0", "b")
    assert flags(answers) == {}
    (table,) = tables(answers, BY_ID)
    assert circles(table, "ada") == (0, 1)


def test_by_chance_a_quarter_of_threes_are_circles():
    chance, names = random.Random(0), [f"n{i}" for i in range(40)]
    answers = [compared("ada", a, b, chance.choice("ab")) for i, a in enumerate(names) for b in names[:i]]
    (table,) = tables(answers, {})
    found, threes = circles(table, "ada")
    assert threes == 40 * 39 * 38 // 6
    assert found / threes == pytest.approx(0.25, abs=0.03)


def test_the_same_answer_under_another_key_is_kept_and_flagged():
    answers = [compared("ada", "p0", "p1", "a", key=f"k{n}") for n in range(2)]
    assert flags(answers) == {"ada": {"duplicates"}}
    found = feedback_stats(PROMPTS, COMPLETIONS, answers)
    assert found.amounts[0].answers == 2
    assert found.annotators[0].repeats == Repeats(1, 1, 0)


def test_half_of_the_answers_under_a_second_are_too_quick():
    config = FlagConfig()
    assert [f.what for f in too_quick("ada", [0.2, 0.2, 5.0], config)] == ["too quick"]
    assert not list(too_quick("ada", [0.2, 3.0, 5.0], config))
    assert not list(too_quick("ada", [0.2, 0.2], config)), "two answers are too few to say"
    assert not list(too_quick("ada", [0.2, 0.2, 0.2], FlagConfig(quick=0.1)))


def test_nobody_is_by_chance_where_nobody_agrees_or_too_little_is_shared():
    chance = random.Random(1)
    nobody = [a for who in ("ada", "bob", "cyd") for a in grades(who, [chance.randint(1, 5) for _ in range(40)])]
    assert not {name for name in of_grades(nobody) if "chance" in name}
    truth = [chance.randint(1, 5) for _ in range(19)]
    few = [*grades("ada", truth), *grades("bob", truth), *grades("cyd", [chance.randint(1, 5) for _ in range(19)])]
    assert not {name for name in of_grades(few) if "chance" in name}
    assert {name for name in of_grades(few, least=10)} & {"cyd by chance", "cyd opposite"}


def test_with_two_who_disagree_nobody_can_say_which_is_wrong():
    truth = [1 + n % 5 for n in range(40)]
    found = of_grades([*grades("ada", truth), *grades("bob", [6 - grade for grade in truth])])
    assert not {name for name in found if "chance" in name or "opposite" in name}


def test_kappa_with_others_is_one_where_all_agree():
    truth = [1 + n % 5 for n in range(40)]
    answers = [*grades("ada", truth), *grades("bob", truth), *grades("cyd", truth)]
    (table,) = tables(answers, {})
    assert {one.value for one in with_others(table).values()} == {1.0}


def test_sides_of_the_others_are_turned():
    answers = [compared("ada", "p0", "p1", "a"), compared("bob", "p1", "p0", "a"), compared("cyd", "p1", "p0", "b")]
    (table,) = tables(answers, BY_ID)
    found = sides(table, "ada")
    assert (found.first, found.decided, found.others) == (1, 1, 0.5)
