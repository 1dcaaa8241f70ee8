"""A process that writes to a store and says what it was told is kept: `python writer.py PLACE GO NAME FIRST COUNT`.

It says `ready` on its error stream, and opens the store when the file GO is there. Every third answer is an edit,
whose revision is a completion too. With the name `-` all processes answer alike in keys and not in what they say.
"""

import os
import sys
import time
from pathlib import Path

from said import COMPLETIONS, PROMPTS

from harken.feedback.records import feedback_to_json
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Edit


def main(place: str, go: str, name: str, first: int, count: int) -> None:
    print("ready", file=sys.stderr, flush=True)
    while not Path(go).exists():
        time.sleep(0.002)
    with FeedbackStore(place) as store:
        store.add_prompts(PROMPTS)
        store.add_completions(COMPLETIONS)
        for i in range(first, first + count):
            key, annotator = (f"k{i}", f"p{os.getpid()}") if name == "-" else (f"{name}{i}", name)
            edit, pair = Edit("p", "p0", f"{annotator} {i}"), Comparison("p", "p0", "p1", "a")
            held = store.add(Answer(key, annotator, "human", pair if i % 3 else edit))
            print(held.key, held.annotator, sorted(feedback_to_json(held.feedback)), sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
