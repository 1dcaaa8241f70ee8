"""How quick the studio is, and whether anything is lost: `python -m benchmarks.studio --json FILE`."""
