"""One format a file; the module's name is the format's: `SUFFIXES`, `write` and `read`."""
