"""The detector: pure array code from what a tick brought to signs, symptoms and the layers that the fleet scan reads."""
