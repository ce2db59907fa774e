"""Terminal agents as data: find, launch, read."""
