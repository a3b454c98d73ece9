"""The version of femssb."""

__version__ = "0.2.0"
