"""Files of voxel images: one module a family of formats, `reading` and `writing` choose."""
