"""Matching plugins: the contract, built-in plugins, and the router that selects one for each sub-request."""
