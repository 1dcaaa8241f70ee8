"""How features of several modalities are joined."""
