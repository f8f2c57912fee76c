"""Calls of shopkeepers, the agents who answer them, and the console they work in."""
