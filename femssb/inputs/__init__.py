"""What a user describes: geometry, materials, protocol and boundary conditions."""
