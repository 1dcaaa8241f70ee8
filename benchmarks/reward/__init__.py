"""Reward models on what people really said. Data lie where `../shared/data` is; nothing of them is in here."""
