"""Numbers that both sides are set to."""

RATE = 1e-5
BETA2 = 0.95
RLOO_BETA = 0.05
DPO_BETA = 0.1
LORA_RANK = 16
LORA_ALPHA = 32
