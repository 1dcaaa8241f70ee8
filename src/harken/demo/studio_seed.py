"""Gives a studio something to answer: `python -m harken.demo.studio_seed FOLDER`, the demo's prompts and completions.

The completions are the demo's manners of saying a true statement, and one that is true of another prompt: written by
this program, and called so (`program/MANNER`), never by a model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harken.data.blobs import Blobs
from harken.data.seeds import derive
from harken.demo import voices
from harken.demo.manners import MANNERS
from harken.demo.tasks import Maker
from harken.demo.world import DemoSource
from harken.feedback.desk.keeping import add_items, add_project, read_projects
from harken.feedback.desk.planning import plan_items
from harken.feedback.desk.settings import Criterion, ProjectSettings
from harken.feedback.store import FeedbackStore
from harken.types import Completion, Prompt

PROMPTS, EACH = 80, 3
PROJECTS = {
    "which-is-better": ProjectSettings("Which is better?", forms=("comparison",)),
    "all-kinds": ProjectSettings(
        "A little of everything",
        forms=("ranking", "rating", "edit"),
        criteria=(Criterion("truth", "Is it true?"), Criterion("manner", "Is it said well?")),
    ),
}
COUNTS = {"comparison": 120, "ranking": 20, "rating": 20, "edit": 20}


def seed_studio(folder: Path, seed: int = 0) -> int:
    """Prompts with their media, completions, and two projects; doing it again adds nothing.

    Returns:
        how many prompts there are.
    """
    try:
        voices.digits()
        speaks = True
    except voices.VoiceUnavailable:
        speaks = False
    maker = Maker(DemoSource(speaks), Blobs(folder / "blobs"), seed)
    prompts = [maker.make("studio", n, test=False) for n in range(PROMPTS)]
    with FeedbackStore(folder / "feedback.db") as store:
        store.add_prompts(prompts)
        store.add_completions([c for n in range(PROMPTS) for c in completions_of(prompts, n, seed)])
        with store.engine.execution_options(writes=True).begin() as connection:
            there = read_projects(connection)
            for slug, settings in PROJECTS.items():
                project = there.get(slug) or add_project(connection, slug, settings)
                counts = {str(form): COUNTS[form] for form in settings.forms}
                add_items(connection, project, plan_items(connection, settings, counts, seed))
    return len(prompts)


def completions_of(prompts: Sequence[Prompt], at: int, seed: int) -> list[Completion]:
    """Some manners of what is true of a prompt, and one of what is true of the next of its task."""
    prompt = prompts[at]
    rng = np.random.default_rng(derive(seed, "studio", prompt.id))
    chosen = rng.choice(len(MANNERS), EACH + 1, replace=False)
    same = [other for other in [*prompts[at + 1 :], *prompts[:at]] if other.facts["task"] == prompt.facts["task"]]
    wrong = next((o for o in same if o.facts["statement"] != prompt.facts["statement"]), prompt)
    made = []
    for n, manner in enumerate(MANNERS[i] for i in chosen):
        said = wrong if n == EACH else prompt
        policy = "program/wrong" if n == EACH else f"program/{manner.name}"
        made.append(Completion(f"{prompt.id}/{n}", prompt.id, manner.write(str(said.facts["statement"])), policy))
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the studio's, as `harken studio --folder` names it")
    print(f"{seed_studio(parser.parse_args().folder)} prompts to answer about")
