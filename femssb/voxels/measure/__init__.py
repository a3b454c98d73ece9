"""What is measured on voxel images."""
