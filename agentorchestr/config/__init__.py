"""Settings files and the trust a person gave to a repository."""
