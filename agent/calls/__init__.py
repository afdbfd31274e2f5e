"""The calls in a model's reply: native ones checked, those that leaked as text found again."""
