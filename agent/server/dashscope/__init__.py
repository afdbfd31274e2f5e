"""The generation API of DashScope: answers with the code interpreter, and plain ones of the model."""

from agent.server.dashscope.routes import routes

__all__ = ["routes"]
