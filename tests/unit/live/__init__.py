"""A test per setting that changes in a running process: it is stored as by the Configurator, and its effect is seen."""
