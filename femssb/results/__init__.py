"""What comes out of a run; it loads without DOLFINx."""
