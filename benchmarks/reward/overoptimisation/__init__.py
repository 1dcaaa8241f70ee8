"""Gold against a learnt proxy that is optimised harder and harder, and what stops gold from falling."""
