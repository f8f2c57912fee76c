"""The knowledge base: articles with versions, found by words, offered where they help."""
