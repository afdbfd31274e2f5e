"""One question after the other: the model is asked, its code is run, and it reads the output."""
