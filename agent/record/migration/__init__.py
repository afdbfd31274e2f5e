"""Old schema versions, read as the current one. What is here never changes: it says what old records meant."""
