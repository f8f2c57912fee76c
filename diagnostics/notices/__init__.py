"""Telling the IT department: an outbox filled with each change of an incident, and channels that empty it."""
