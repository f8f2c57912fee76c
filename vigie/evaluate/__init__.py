"""Plays scenarios through the decision code of the live watch at full speed, and holds what it said against the truth."""
