"""Pages of the workbench: the daily work of operators, over the services of several rooms."""
