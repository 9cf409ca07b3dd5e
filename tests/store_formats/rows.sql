INSERT INTO conversations (id, title, model, system, settings, created, updated, archived, head)
VALUES
    (1, 'A fox', 'demo', 'Be brief.', '{"temperature": 0.25}', 1700000000.5, 1700000100.5, 0, NULL),
    (2, 'Of honey', '2b', NULL, '{}', 1700000200.5, 1700000300.5, 1, NULL);
INSERT INTO messages (id, conversation, parent, depth, role, text, chars, closed, streaming, loose, hash, created)
VALUES
    (1, 1, NULL, 0, 'user', 'where is it', 11, 1, 0, 0, x'00', 1700000010.5),
    (2, 1, 1, 1, 'model', 'in the wood', 11, 1, 0, 0, x'00', 1700000020.5),
    (3, 1, 1, 1, 'model', 'by the ', 7, 0, 1, 1, x'00', 1700000030.5);
INSERT INTO pieces (id, message, chars, ids, text) VALUES (1, 3, 5, NULL, 'river');
UPDATE conversations SET head = 2 WHERE id = 1;
