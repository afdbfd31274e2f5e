"""Answers what requests ask, whatever their protocol."""
