"""Containers, files and conversations, as OpenAI's API has them."""
