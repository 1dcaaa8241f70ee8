"""Before any model: media, prompts, the processor and the one batch layout."""
