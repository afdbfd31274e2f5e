"""The bytes of answers: events of a stream, and errors in the form of each protocol."""
