"""URL modules. `all` serves every listener's paths on one port."""
