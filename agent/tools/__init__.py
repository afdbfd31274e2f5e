"""The tools that a model can call: run_python, and the functions of the caller."""
