"""`harken sft`: The supervised stage of a recipe."""

from harken.cli.stage import stage_app

app = stage_app(
    "sft",
    "Supervised training on demonstrations: RUN/sft.",
    ("supervised model", "sft"),
)
