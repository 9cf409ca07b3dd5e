"""What a user has set, and the file of it."""
