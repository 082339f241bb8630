"""The machine: claims of stages by leases, their execution in workers, and the ends of tasks."""
