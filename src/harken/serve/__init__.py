"""A model behind OpenAI's API: text, pictures, sounds and numbers in, text out, streamed where it is asked for."""
