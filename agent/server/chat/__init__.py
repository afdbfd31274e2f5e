"""The Chat Completions API: answers with the code interpreter, and a proxy to the model behind this server."""

from agent.server.chat.routes import routes

__all__ = ["routes"]
