"""`harken evaluate`: The evaluation of a recipe."""

from harken.cli.stage import stage_app

app = stage_app(
    "evaluate",
    "Compare the aligned model with the supervised one on held-out prompts: RUN/evaluation.json.",
    ("evaluation", "evaluation.json"),
)
