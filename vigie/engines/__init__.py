"""The embedded engines: a real TimescaleDB and a real Mosquitto, unpacked into a private folder.

`layout` knows where things stand, `fetch` brings them, `postgres` and `mosquitto` run them.
"""
