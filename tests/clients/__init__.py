"""The Node clients that the documentation of the server shows, with their versions."""

from pathlib import Path

NODE_CLIENTS = Path(__file__).parent
"""Where `node_modules` is."""
