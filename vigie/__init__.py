"""The front door: the command line, the embedded engines, and `vigie up`."""
