"""The part of Jupyter's server that Open WebUI runs code with: kernels, and a WebSocket for each."""
