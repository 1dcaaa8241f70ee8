"""`harken reward`: The reward model of a recipe."""

from harken.cli.stage import stage_app

app = stage_app(
    "reward",
    "Learn a reward model from all feedback: RUN/reward.",
    ("reward model", "reward"),
)
