"""Any OpenAI-compatible endpoint: which one, how it is asked, what it answers, what that costs."""
