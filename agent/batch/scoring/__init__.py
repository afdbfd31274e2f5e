"""Compares answers with expectations."""
