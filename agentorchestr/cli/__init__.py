"""Commands a person types: one file each, loaded when it runs."""
