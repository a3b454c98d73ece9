"""Descriptions that a user makes: geometry, materials, protocol and boundary conditions."""
