"""Terminals, faults and callers that speak to Vigie only as the real ones would.

The pure part (everything but the wire) is vectorised and reproducible: same seed, same bytes.
Times are whole seconds since the epoch, UTC (`t_s`); a terminal is its row in the world (`terminal`, `idx`).
"""
