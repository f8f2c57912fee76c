"""From MQTT to committed and acknowledged: nothing is lost, nothing is stored twice."""
