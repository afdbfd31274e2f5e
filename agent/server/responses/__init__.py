"""OpenAI's Responses API with the code interpreter, containers and conversations."""
