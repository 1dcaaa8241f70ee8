"""The demo's worlds: tasks, voices, and the hidden preference of its simulated annotators."""
