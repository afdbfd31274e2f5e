"""Servers of the Model Context Protocol, whose tools the model may call. They need the extra `mcp`."""
