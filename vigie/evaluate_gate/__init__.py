"""Plays seeded campaigns over a simulated fleet through the gate that live campaigns use, and says how often it was right."""
