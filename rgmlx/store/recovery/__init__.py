"""From a damaged file into a whole one, or into a store that is in use."""
