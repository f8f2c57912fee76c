"""`vigie up`: one machine's engines and programs, started in order, watched, restarted, and stopped in reverse order.

`plan` says what runs with which settings, `supervisor` keeps it running, `house` brings both together, `screen` shows it.
"""
