"""Reads the tasks of a batch from text, JSON and tables, as editors, spreadsheets and data frames write them."""
