"""`harken feedback`: what people said, in and out."""

import typer

from harken.cli.exchange import backup, export, forget, import_

app = typer.Typer(add_completion=False, no_args_is_help=True, help="What people said: in and out, copied, forgotten.")
app.command("import")(import_)
app.command("export")(export)
app.command("forget")(forget)
app.command("backup")(backup)
