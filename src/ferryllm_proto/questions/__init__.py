"""Other questions than for an answer in a conversation, and paths that pass as they are: in a `Translator`'s shape."""
