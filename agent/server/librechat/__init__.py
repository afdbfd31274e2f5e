"""LibreChat's code interpreter API: a chat program runs the code of its own models here."""
