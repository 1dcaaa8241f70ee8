"""`harken run`: the whole loop from a recipe."""

from functools import partial

from harken.cli.options import console
from harken.cli.stage import recipe_app
from harken.cli.table import print_results

app = recipe_app(
    None,
    "The whole loop from a recipe: sft, collect, reward, align, evaluate, report; what is there already is kept.",
    partial(print_results, console),
)
