"""The chat in lines of text, for screen readers, simple terminals and pipes.

Knows the session and the standard streams, and no Textual. What it writes are sentences on lines of their own and
text as it comes: no escape sequence, no colour, nothing that is drawn over. The model works in a thread; the main one
waits for words, for Ctrl+C and for the time to say how far it is.
"""

from .chat import PlainChat

__all__ = ["PlainChat"]
