"""The version of femssb."""

__version__ = "0.3.0"
