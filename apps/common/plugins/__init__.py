"""Plugins: discovery for all kinds, and the contract and the threads of event and background plugins."""
