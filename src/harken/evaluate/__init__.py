"""Is it better, and how sure are we?"""
