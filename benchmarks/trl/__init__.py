"""harken and TRL in turn on one machine: the same weights, the same prompts, the same number of new tokens."""
