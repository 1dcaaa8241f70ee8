"""Statements of every kind about four completions, for the tests of this room."""

from harken.types import Answer, Comparison, Completion, Edit, Feedback, Ranking, Rating

COMPLETIONS = {
    name: Completion(name, prompt, f"{name} says number {n} here", "model")
    for n, (name, prompt) in enumerate([("w", "p"), ("x", "p"), ("y", "p"), ("z", "q")])
}
ANNOTATORS = ("ada", "ben")


def answer(said: Feedback, annotator: str = "ada", key: str = "", count: int = 1) -> Answer:
    return Answer(key or f"{annotator} {said}", annotator, "human", said, count=count)


EVERY = [
    answer(Comparison("p", "w", "x", "a")),
    answer(Comparison("p", "y", "x", "both_bad"), "ben"),
    answer(Comparison("p", "y", "z", "tie", other_prompt_id="q"), "ben", count=3),
    answer(Ranking("p", (("x",), ("w",)), ("y",))),
    answer(Ranking("p", (("x", "w"),), ("y",)), "ben"),
    answer(Ranking("p", (("y",),), ("w",)), "ben"),
    answer(Rating("p", "w", 5)),
    answer(Rating("p", "x", 2), "ben"),
    answer(Rating("q", "z", 9, levels=11), "ben"),
    answer(Edit("p", "x", "x says number 7 there")),
    answer(Edit("q", "z", "nothing of it"), "ben"),
]
