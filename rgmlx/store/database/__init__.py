"""The open file of conversations: transactions, what it takes to open it, and what is done when it is removed."""
