"""The half-cell, discretised: two problems and how they are coupled."""
