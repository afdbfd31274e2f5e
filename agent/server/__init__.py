"""The protocols of hosted code interpreters, over the runtime. It needs the extra `server`."""
