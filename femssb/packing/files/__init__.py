"""Files of packings: one module a family of formats, `reading` and `writing` choose."""
