"""The web page where people answer, and see what their answers do. Loads no torch."""
