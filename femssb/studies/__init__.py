"""Parameter studies: cases, a runner, a cache and comparison pages."""
