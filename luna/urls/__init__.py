"""URL modules. `all` serves the paths of all listeners on one port."""
