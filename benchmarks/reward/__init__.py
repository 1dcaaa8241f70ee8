"""What the reward model costs, and what is asked for it."""
