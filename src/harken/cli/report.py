"""`harken report`: The report of a recipe."""

from harken.cli.stage import stage_app

app = stage_app(
    "report",
    "Write RUN/report.html: curves, answers side by side, feedback, settings.",
    ("report", "report.html"),
)
