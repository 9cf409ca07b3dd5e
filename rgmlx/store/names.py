"""Names of the files in a directory of conversations.

| name | what it is | module |
| --- | --- | --- |
| `chats.db`, `-wal`, `-shm`, `-journal` | conversations, and SQLite's files beside them | `database` |
| `.chats.db.opening` | lock of the process that opens it | `database/opening.py` |
| `.chats.db.suspect` | damage was met: it is made anew at the next start | `database/damage.py` |
| `.chats.db.part` | a new file that is being written | `files/replacement.py` |
| `chats.damaged-DATE.db`, `.….said`, `.….ready` | a damaged file that was set aside, what to say of it, its successor | `files/replacement.py`, `database/notices.py` |
| `chats.format-N-DATE.db` | a copy from before an upgrade | `migrations.py` |
| `chats.rescued-DATE.db` | conversations whose file was replaced by another store | `database/file_watch.py` |
| `.chats.reserve` | space for deleting on a full disk | `files/disk_space.py` |
| `open/N.lock` | lock of the process that has conversation N open | `locks.py` |
| `states/states.db`, `states/states-of-NAME` | states of `chats.db`, of a file of another name | `states/state_file.py` |
"""

from __future__ import annotations

NAME = "chats.db"
"""The file of conversations."""
