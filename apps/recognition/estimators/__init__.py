"""Estimators, one module each. `registry` collects and orders them for a plan; `base` defines their interface."""
