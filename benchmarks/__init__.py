"""Side by side with peers: one script a claim, results with the command that made them."""
