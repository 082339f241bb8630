"""Estimators: one file each. `registry` finds them and orders them for a plan; `base` says what one looks like."""
