"""Incidents over time: findings of the fleet scan become incidents that open, grow, clear, close and come back."""
