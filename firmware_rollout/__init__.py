"""Which firmware each terminal should run, does run, and how it gets there."""
