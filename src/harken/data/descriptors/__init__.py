"""What can be measured of a medium or a text without a model: fixed functions, named numbers."""
