"""Forms that are made from JSON Schemas: a value as a form and as JSON text."""
