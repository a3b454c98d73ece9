"""Finite elements: assembly, constraints, traces on surfaces and the nonlinear solver."""
