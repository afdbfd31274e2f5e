"""The sandbox as a server of the Model Context Protocol. It needs the extra `mcp`."""
