"""The console, the REST API, the call hook and the event stream, over HTTP."""
