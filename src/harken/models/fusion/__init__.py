"""harken's own small family: encoders, a way of joining them, a language model."""
