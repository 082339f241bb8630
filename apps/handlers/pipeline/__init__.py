"""From images and policies to events: one module a stage, `generate` joins them."""
