"""Pages: HTML for people; whatever they do goes through the API."""
