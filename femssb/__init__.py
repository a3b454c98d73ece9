"""Electro-chemo-mechanics of solid-state-battery cathodes."""

__version__ = "0.1.0"
