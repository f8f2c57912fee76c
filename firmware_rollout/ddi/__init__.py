"""The devices' side of the rollout: eclipse hawkBit's Direct Device Integration API, as existing update clients speak it.

`protocol` says what is asked and answered, `store` keeps it, `tokens` tells who asks, `visits` remembers who came by, `app` serves.
"""
