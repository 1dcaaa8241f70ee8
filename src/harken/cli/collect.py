"""`harken collect`: Completions of the policy, and feedback on them."""

from harken.cli.stage import stage_app

app = stage_app(
    "collect",
    "Have the policy answer, and ask people about its answers: RUN/feedback.db. feedback.annotator=me asks you.",
    ("feedback", "feedback.db"),
)
