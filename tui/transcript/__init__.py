"""The conversation on the screen: messages, their parts, Markdown, scrolling."""
