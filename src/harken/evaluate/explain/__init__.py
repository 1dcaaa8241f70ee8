"""Why this answer: what each modality, pixel, frame and word of a prompt did for it."""
