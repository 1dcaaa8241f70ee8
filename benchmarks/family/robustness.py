"""Robustness: classifiers under FGSM and PGD before and after adversarial training; the demo's policy likewise.

python -m benchmarks.family.robustness --train FOLDER [--test FOLDER] --json FILE [--work FOLDER] [--only PART]
    [--seeds N] [--steps N] [--pgd N] [--demo KEY=VALUE ...]

FOLDER holds cifar10 and fsdd. Pictures may be moved by 4/255 a pixel; sounds by noise on their samples, 40 dB below
them, with gradients through the log-mel frames. Without --test, 1,000 pictures and a fifth of the recordings that are
not learnt from judge. The part `policy` runs the demo (its own scans and voices) in WORK/demo, or goes on with what is
there, and then its reinforcement again with adversarial prompts. The part `words` teaches the demo's supervised policy
with the embeddings of its prompts attacked.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.family import robust_classifiers, robust_policy, robust_words
from benchmarks.family.command import begun, parser_of, write_figures

PARTS = ("pictures", "sounds", "policy", "words")


def main() -> None:
    """Learn, attack, judge, print and write."""
    parser = parser_of(__doc__, "folder with cifar10 and fsdd", "folder of the same form")
    parser.add_argument("--work", type=Path, help="folder for checkpoints and the demo's run; a second start goes on")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS)
    parser.add_argument("--seeds", type=int, default=1, help="of the classifiers")
    parser.add_argument("--steps", type=int, default=400, help="of each classifier's training")
    parser.add_argument("--pgd", type=int, default=20, help="steps of the attacks that judge")
    parser.add_argument("--demo", nargs="*", default=[], metavar="KEY=VALUE", help="over the demo's recipe")
    said = begun(parser)
    started = time.monotonic()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = said.work or Path(scratch)
        jobs = {"pictures": robust_classifiers.pictures, "sounds": robust_classifiers.sounds}
        for name in (part for part in PARTS if part in said.only and part in jobs):
            job = jobs[name](said.train, said.test, said.steps)
            found[name] = robust_classifiers.classifier(job, said.seeds, said.pgd, said.work)
        if "policy" in said.only:
            run = robust_policy.demo_run(work / "demo", said.demo, said.threads)
            found["policy"] = robust_policy.policy_table(run, work, said.pgd)
        if "words" in said.only:
            found["words"] = robust_words.words_table(work, said.demo, said.threads, said.pgd)
    found |= {"seeds": said.seeds, "steps": said.steps, "pgd": said.pgd, "demo": said.demo}
    found["minutes"] = round((time.monotonic() - started) / 60, 2)
    write_figures(said.json, found)


if __name__ == "__main__":
    main()
