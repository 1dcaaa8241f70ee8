"""`harken align`: The reinforcement stage of a recipe."""

from harken.cli.stage import stage_app

app = stage_app(
    "align",
    "Move the policy towards the reward: RUN/aligned. algorithm.name=grpo chooses another method.",
    ("aligned model", "aligned"),
)
