"""The program that looks at files in the container. The host sends it when files come, and imports none of it."""
