"""What the family reaches on real data: one script a claim."""
