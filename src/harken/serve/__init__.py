"""A model behind OpenAI's API: text, pictures and sounds in, text out, streamed where it is asked for."""
