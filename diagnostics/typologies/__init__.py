"""Typologies: named classes of incidents, symptoms and calls; what matches one, what is new, what grows, and what to answer."""
