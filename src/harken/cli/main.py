"""`harken`: finds the verb, loads its file and no other, and turns errors into words."""

import gc
import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

VERBS = {
    "demo": "The whole loop on a small task, from nothing: about five minutes on a laptop.",
    "run": "The whole loop from a recipe.",
    "sft": "Supervised training on demonstrations.",
    "collect": "Completions of the policy, and people's feedback on them.",
    "reward": "The reward model, from all feedback.",
    "align": "Reinforcement: move the policy towards the reward.",
    "evaluate": "Is it better, and how sure are we?",
    "tune": "Which settings? Hyperparameters of a recipe, searched by a stage's held-out measure.",
    "data": "Feedback that was collected elsewhere: bring it in.",
    "studio": "The page where people answer, and see what their answers do.",
    "feedback": "What people said: how well they agree, import, export, forget, backup.",
    "curve": "Would more answers help? Accuracy over their number, by modality, kind and annotator.",
    "serve": "A model behind OpenAI's API: pictures, sound, streaming.",
    "parts": "What a model can be put together from: encoders, ways of joining, heads, and their settings.",
    "predict": "What a model's heads say of prompts: classes, numbers, what belongs together.",
    "doctor": "Does a model see its media, and is training on it exact? A table, before you train.",
    "explain": "Why this answer? Which part of a prompt mattered, and where in it: a page.",
    "report": "One page with curves, answers side by side, and settings.",
}


class Verbs(TyperGroup):
    """Loads a verb's file when that verb is called: `harken --help` loads no torch."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in the order of the loop."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One verb, loaded unless only its one line of help is wanted."""
        if cmd_name not in VERBS:
            return None
        asked = cmd_name in sys.argv[1:]
        if not asked:
            return TyperCommand(cmd_name, help=VERBS[cmd_name])
        app = importlib.import_module(f"harken.cli.{cmd_name}").app
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Teach a multimodal model what people prefer: feedback, reward model, alignment, evaluation, and round again.",
)


@app.callback()
def root() -> None:
    """Teach a multimodal model what people prefer."""


def run() -> None:
    """The console script."""
    # Loading torch and transformers makes so many objects that looking for rubbish among them takes most of a second.
    gc.set_threshold(10_000)
    app()


if __name__ == "__main__":
    run()
