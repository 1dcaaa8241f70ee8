"""The whole loop as stages with artefacts."""
