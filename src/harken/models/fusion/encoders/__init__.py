"""Media tensors to streams of states, one modality a room."""
