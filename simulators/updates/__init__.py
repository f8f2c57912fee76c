"""How simulated terminals update themselves: the device API's client side, as hawkBit's clients have it.

`http` is a lean connection, `client` one terminal's conduct towards the API, `fleet` has a few threads visit for thousands of them.
"""
