"""The sub-commands of `vigie`, one module per topic; each adds itself to the application by `add_to(app)`.

They import what is heavy inside their functions, so that `vigie --help` answers at once.
"""
