"""The names of all formats, for those who only want to name them: each is a module of `formats/`."""

NAMES = ("trl", "parquet", "label_studio", "argilla", "arena", "table")
