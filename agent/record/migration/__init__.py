"""Reads old schema versions as the current one. This code never changes, because it defines what old records mean."""
