
CREATE TABLE pairing (file TEXT NOT NULL, id BLOB NOT NULL);
INSERT INTO pairing VALUES ('states', randomblob(16));
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again: locks and windows may hold an old one
    title TEXT NOT NULL,
    model TEXT NOT NULL,
    system TEXT,
    settings TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0,
    deleted REAL,
    head INTEGER REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
    pinned INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conversations_by_time ON conversations (updated);
CREATE INDEX conversations_by_head ON conversations (head);

-- `parent` does not cascade: SQLite would recurse once a message, and gives up at a thousand.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    parent INTEGER REFERENCES messages (id),
    depth INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'model')),
    text TEXT NOT NULL,
    chars INTEGER NOT NULL,      -- of the whole text once finished
    closed INTEGER NOT NULL,
    streaming INTEGER NOT NULL,  -- still being written
    loose INTEGER NOT NULL,      -- the text goes on in `pieces`
    hash BLOB NOT NULL,
    created REAL NOT NULL
);
CREATE INDEX messages_by_parent ON messages (parent, conversation);
CREATE INDEX messages_by_conversation ON messages (conversation, parent);
CREATE INDEX messages_streaming ON messages (conversation) WHERE streaming;

CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    chars INTEGER NOT NULL,
    ids BLOB,                    -- the token ids that wrote it, where they are known
    text TEXT NOT NULL
);
CREATE INDEX pieces_by_message ON pieces (message, id, chars);

CREATE VIRTUAL TABLE message_index USING fts5 (
    text, content='messages', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_index (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER message_changed AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO message_index (rowid, text) VALUES (new.id, new.text);
END;

CREATE VIRTUAL TABLE title_index USING fts5 (
    title, content='conversations', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
END;
CREATE TRIGGER conversation_renamed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;

CREATE VIRTUAL TABLE message_parts USING fts5 (
    text, content='messages', content_rowid='id', tokenize='trigram', detail='none'
);
CREATE TRIGGER message_parts_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_parts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER message_parts_removed AFTER DELETE ON messages BEGIN
    INSERT INTO message_parts (message_parts, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER message_parts_changed AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO message_parts (message_parts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO message_parts (rowid, text) VALUES (new.id, new.text);
END;
CREATE VIRTUAL TABLE title_parts USING fts5 (
    title, content='conversations', content_rowid='id', tokenize='trigram', detail='none'
);
CREATE TRIGGER title_parts_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_parts (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER title_parts_removed AFTER DELETE ON conversations BEGIN
    INSERT INTO title_parts (title_parts, rowid, title) VALUES ('delete', old.id, old.title);
END;
CREATE TRIGGER title_parts_changed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_parts (title_parts, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_parts (rowid, title) VALUES (new.id, new.title);
END;

