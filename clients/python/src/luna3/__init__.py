"""The names of the library `luna3` that programs of integrators use most, on top of `luna_platform`."""
