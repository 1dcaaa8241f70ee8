"""A store in which some annotators are bad in known ways, made in code, with any seed."""

import random
from collections.abc import Callable
from itertools import combinations

from harken.feedback.store import FeedbackStore
from harken.types import Answer, Choice, Comparison, Completion, Message, Prompt, Rating, Text

GOOD = ("ada", "bob", "cyd", "dee", "eve")
BAD = {"lefty": "one side", "dicey": "by chance", "hasty": "too quick", "contrary": "opposite"}
TURNED: dict[str, Choice] = {"a": "b", "b": "a"}


def fill(store: FeedbackStore, seed: int, prompts: int = 60) -> None:
    """Each prompt has three completions of known worth; everybody compares two of them and grades one."""
    chance = random.Random(seed)
    asked = [Prompt(f"p{n}", (Message("user", (Text(f"Question {n}?"),)),)) for n in range(prompts)]
    made = [Completion(f"{p.id}-{c}", p.id, f"Answer {c} to {p.id}.", "model") for p in asked for c in range(3)]
    worth = {completion.id: chance.gauss(0, 1) for completion in made}
    store.add_prompts(asked)
    store.add_completions(made)
    said: dict[str, Callable[[str, str], Choice]] = {
        **dict.fromkeys(GOOD, lambda a, b: judged(a, b, 0.3)),
        "lefty": lambda a, b: "a",
        "dicey": lambda a, b: chance.choice(("a", "b")),
        "hasty": lambda a, b: judged(a, b, 0.3),
        "contrary": lambda a, b: TURNED[judged(a, b, 0.3)],
    }

    def judged(a: str, b: str, noise: float) -> Choice:
        return "a" if worth[a] + chance.gauss(0, noise) > worth[b] + chance.gauss(0, noise) else "b"

    answers = []
    for prompt in asked:
        pair = chance.choice(list(combinations([f"{prompt.id}-{c}" for c in range(3)], 2)))
        for who, choose in said.items():
            a, b = chance.sample(pair, 2)
            seconds = chance.uniform(0.15, 0.25) if who == "hasty" else chance.uniform(3, 20)
            compared = Comparison(prompt.id, a, b, choose(a, b))
            answers.append(Answer(f"{who} {prompt.id}", who, "human", compared, seconds))
            if who in GOOD:
                score = min(5, max(1, round(3 + 1.2 * worth[a] + chance.gauss(0, 0.4))))
                rated = Rating(prompt.id, f"{prompt.id}-0", score)
                answers.append(Answer(f"{who} {prompt.id} grade", who, "human", rated, seconds))
    store.add_answers(answers)
