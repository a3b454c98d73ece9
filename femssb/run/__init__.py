"""A model taken through a protocol: time steps, records and checkpoints."""
