"""What a terminal is, says and has said: registry, MQTT contract, ingest, time series."""

# Of the whole house; pyproject.toml says the same (a test holds them equal). A checkout needs no installation to know it.
VERSION = "0.1.0"
