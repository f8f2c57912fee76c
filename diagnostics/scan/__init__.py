"""The fleet scan: which conjunction of the registry's dimensions explains who is hit; pure array code."""
