"""A model is taken through a protocol: time steps, records and checkpoints."""
