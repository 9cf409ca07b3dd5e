"""Where one types: completions, history, files that a message names, drafts, what waits."""
