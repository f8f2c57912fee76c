"""What a terminal is, says and has said: registry, MQTT contract, ingest, time series."""
