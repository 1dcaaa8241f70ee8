from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.derived import votes_from_ratings
from harken.types import Answer, Comparison, Rating


def graded(scores: dict[str, int], annotator: str, criterion: str = "overall") -> list[Answer]:
    said = [(name, Rating(name, name, score, 5, criterion)) for name, score in scores.items()]
    return [Answer(f"{annotator} {name} {criterion}", annotator, "human", rating) for name, rating in said]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(0, 40), st.integers(0, 9))
def test_votes_say_what_the_grades_say(scores, each, seed):
    mine = {f"i{n}": score for n, score in enumerate(scores)}
    other = {name: 6 - score for name, score in mine.items()}
    answers = [*graded(mine, "ada"), *graded(other, "ben"), *graded(mine, "ada", "wit")]
    found = votes_from_ratings(answers, each, seed)
    pairs = len(scores) * (len(scores) - 1) // 2
    for annotator, grades in (("ada", mine), ("ben", other)):
        votes = [vote for vote in found if vote.annotator == annotator]
        assert len(votes) == min(each, pairs)
        assert len({frozenset((v.feedback.a, v.feedback.b)) for v in votes}) == len(votes)
        for vote in votes:
            said = vote.feedback
            assert isinstance(said, Comparison)
            a, b = grades[said.a], grades[said.b]
            assert said.choice == ("tie" if a == b else "a" if a > b else "b")
            assert (said.prompt_id, said.other_prompt_id, vote.annotator_kind) == (said.a, said.b, "human")
    assert found == votes_from_ratings(answers, each, seed)
    assert len({vote.key for vote in found}) == len(found)


def test_both_sides_are_shown_first():
    answers = graded({f"i{n}": 1 + n % 5 for n in range(30)}, "ada")
    votes = votes_from_ratings(answers, 300, 0)
    first = sum(vote.feedback.choice == "a" for vote in votes)
    second = sum(vote.feedback.choice == "b" for vote in votes)
    assert 0.4 < first / (first + second) < 0.6
