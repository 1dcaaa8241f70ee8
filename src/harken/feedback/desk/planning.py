"""A project's items, from the prompts and completions that the store holds."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import combinations

from sqlalchemy import Connection, select

from harken.feedback.desk.keeping import NewItem, Project
from harken.feedback.desk.settings import Form, ProjectSettings
from harken.feedback.queue import MAKERS, Compare, Rank, Rate, Revise, compare, completions_of
from harken.feedback.schema import completions, items
from harken.types import Completion


def plan_items(
    connection: Connection, settings: ProjectSettings, counts: Mapping[str, int], seed: int
) -> list[NewItem]:
    """Random items, spread evenly over prompts; the same for the same store, settings and seed.

    Args:
        connection: of the store.
        settings: which forms, and completions of which policies.
        counts: how many of each form; all that there can be where a form is not named.
        seed: of all choices.

    Raises:
        ValueError: if a form is unknown or a count negative, or there is nothing to ask.
    """
    for form, count in counts.items():
        if form not in settings.forms or count < 0:
            raise ValueError(f"counts: {count} items of {form!r}; the project's forms are {', '.join(settings.forms)}")
    chance = random.Random(seed)
    groups = _groups(connection, settings)
    prompts = sorted(groups)
    chance.shuffle(prompts)
    out: list[NewItem] = []
    for form in settings.forms:
        lists = [(prompt, _questions(form, groups[prompt], settings, chance)) for prompt in prompts]
        out += list(_spread(form, lists, counts.get(form)))
    if not out:
        named = f" of {', '.join(settings.policies)}" if settings.policies else ""
        named += f" to prompts like {', '.join(settings.prompts)}" if settings.prompts else ""
        raise ValueError(
            f"the store has no completions{named} to ask about; a comparison needs two of one prompt with different "
            "texts: import some (harken data import), or run harken collect"
        )
    return out


def fresh_items(connection: Connection, project: Project, form: Form, seed: int) -> list[NewItem]:
    """All items of a form that a project does not have yet, in a random order.

    Raises:
        ValueError: if the store has nothing to ask.
    """
    there = set(connection.scalars(select(items.c.name).where(items.c.project == project.id)))
    every = plan_items(connection, replace(project.settings, forms=(form,)), {}, seed)
    return [one for one in every if one.name not in there]


def _groups(connection: Connection, settings: ProjectSettings) -> dict[str, list[Completion]]:
    query = select(completions).order_by(completions.c.seq)
    if settings.policies:
        query = query.where(completions.c.policy.in_(settings.policies))
    else:
        # What annotators wrote is a demonstration, and not asked about.
        query = query.where(~completions.c.policy.startswith("annotator:"))
    groups: dict[str, list[Completion]] = {}
    for r in connection.execute(query):
        groups.setdefault(r.prompt_id, []).append(Completion(r.id, r.prompt_id, r.text, r.policy, bool(r.finished)))
    like = [one.replace("[", "[[]") for one in settings.prompts]
    return {
        name: several for name, several in groups.items() if not like or any(fnmatchcase(name, one) for one in like)
    }


def _questions(
    form: Form, group: Sequence[Completion], settings: ProjectSettings, chance: random.Random
) -> list[tuple[str, ...]]:
    if form == "comparison" and len(settings.policies) == 2:
        pairs = [compare(a, b) for a, b in combinations(group, 2) if a.policy != b.policy and a.text != b.text]
        chance.shuffle(pairs)
        return [completions_of(pair) for pair in pairs]
    found: Sequence[Compare | Rank | Rate | Revise] = MAKERS[form](group, chance)
    named = [completions_of(question) for question in found]
    return [names[: settings.choices] for names in named]


def _spread(form: Form, lists: Sequence[tuple[str, Sequence[tuple[str, ...]]]], count: int | None) -> Iterator[NewItem]:
    """One question of each prompt in turn, until there are enough or none is left."""
    given = 0
    for turn in range(max((len(questions) for _, questions in lists), default=0)):
        for prompt, questions in lists:
            if turn < len(questions) and (count is None or given < count):
                yield NewItem(form, prompt, questions[turn], float(given))
                given += 1
