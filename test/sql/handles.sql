-- What is kept of a number or an address: a hash, and the same one however it is written.
SET client_min_messages = warning;
\pset format unaligned
CREATE FUNCTION same(medium text, a text, b text) RETURNS boolean LANGUAGE sql AS
$$ SELECT custseg.handle_hash(medium, a) = custseg.handle_hash(medium, b) $$;
SELECT a, b, same('phone', a, b) FROM (VALUES
    ('+49 30 1234', '0049 (30) 12-34'), ('+49 30 1234', '49/30.1234'), ('１３８００１３８０００', '138 0013 8000'),
    ('tel. 030 1234', '030 1234'), ('+49 30 1234', '030 1234'), ('030 1234', '030 1235')) v (a, b);
SELECT a, b, same('email', a, b) FROM (VALUES
    (' Ann@Example.org ', 'ann@example.org'), ('ａｎｎ＠example.org', 'ann@example.org'), ('ann@example.org', 'ann@example.com'),
    (E'ann@example.org\u200B', 'ann@example.org'), ('JÖRG@example.org', 'jörg@example.org')) v (a, b);
SELECT a, b, same('wechat', a, b) FROM (VALUES (E' ann\u3000', 'ann'), ('Ann', 'ann'), ('ann b', 'annb')) v (a, b);
-- The same letters of two media are two handles.
SELECT custseg.handle_hash('wechat', 'ann@example.org') = custseg.handle_hash('email', 'ann@example.org') AS same;
-- What cannot be a handle is none.
SELECT medium, handle, custseg.handle_hash(medium, handle) FROM (VALUES
    ('phone', ''), ('phone', '-'), ('phone', 'none'), ('phone', '000'), ('phone', '00'), ('phone', NULL),
    ('email', 'none'), ('email', '@'), ('email', 'ann@'), ('email', '@example.org'), ('other', E' \t\u3000')) v (medium, handle);
-- 128 bits, and others in another database.
SELECT length(uuid_send(custseg.handle_hash('phone', '1'))) * 8 AS bits;
SELECT custseg.handle_hash('phone', '0301234') AS before \gset
UPDATE custseg.arm_salt SET handle_salt = '00000000-0000-0000-0000-000000000001';
SELECT custseg.handle_hash('phone', '0301234') = :'before' AS same, custseg.handle_hash('phone', '030/1234');
SELECT custseg.handle_hash('phone', '0301234')
    = encode(substr(sha256(decode('00000000000000000000000000000001', 'hex') || 'phone'::bytea || '\x00' || '0301234'), 1, 16), 'hex')::uuid AS as_said;
-- Whoever may look at custseg cannot try all numbers.
CREATE ROLE regress_handles_nobody;
GRANT USAGE ON SCHEMA custseg TO regress_handles_nobody;
SET ROLE regress_handles_nobody;
SELECT custseg.handle_hash('phone', '0301234');
RESET ROLE;
REVOKE USAGE ON SCHEMA custseg FROM regress_handles_nobody;
DROP ROLE regress_handles_nobody;
DROP FUNCTION same;
DROP EXTENSION custseg CASCADE;
CREATE EXTENSION custseg;
