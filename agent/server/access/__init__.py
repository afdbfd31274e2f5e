"""Who may ask, from where, how much and how often: layers of pure ASGI around the server."""
