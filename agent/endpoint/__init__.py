"""Any OpenAI-compatible endpoint: its settings, requests, answers and failures."""
