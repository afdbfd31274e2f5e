"""A recorded run as what people use: a notebook, a page, a script, training data, API items."""
