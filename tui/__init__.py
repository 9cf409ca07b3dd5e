"""`rgchat`: the terminal chat, over `rgmlx`."""
