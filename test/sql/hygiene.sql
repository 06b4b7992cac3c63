-- What must hold for every object of the extension, whichever room it is in.
\set VERBOSITY terse

-- Everything has a comment: \d+ and \df+ are the reference.
SELECT kind, object FROM (
    SELECT 'relation' AS kind, c.oid::regclass::text AS object
    FROM pg_class c
    WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND obj_description(c.oid, 'pg_class') IS NULL
    UNION ALL
    SELECT 'type', t.oid::regtype::text
    FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typnamespace = 'custseg'::regnamespace AND t.typtype IN ('b', 'c', 'd', 'e') AND t.typcategory <> 'A'
      AND (c.oid IS NULL OR c.relkind = 'c') AND obj_description(t.oid, 'pg_type') IS NULL
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text
    FROM pg_proc p
    WHERE p.pronamespace = 'custseg'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
) missing ORDER BY kind, object COLLATE "C";

SELECT a.attrelid::regclass AS uncommented, a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
  AND col_description(a.attrelid, a.attnum) IS NULL
  AND c.relname !~ '_choice$' -- what such a table holds is told at the view over it
ORDER BY c.relname COLLATE "C", a.attnum;

-- A backup keeps every table and sequence but what is only on its way: changed
-- customers and requested runs.
SELECT c.oid::regclass AS not_dumped
FROM pg_class c
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind IN ('r', 'p', 'S')
  AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'custseg' AND c.oid = ANY (e.extconfig))
  AND c.relname NOT IN ('change_log', 'change_gap', 'change_move', 'job_request')
  AND NOT (c.relkind = 'S' AND EXISTS (
      SELECT FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
        AND t.relname IN ('change_log', 'job_request')))
ORDER BY 1;

-- A parallel pg_restore does not know in which order the tables of an
-- extension want their rows: no foreign key binds one to another.
SELECT conrelid::regclass AS relation, conname FROM pg_constraint
WHERE connamespace = 'custseg'::regnamespace AND contype = 'f' ORDER BY 1, 2;

-- Every table can be replicated.
SELECT c.oid::regclass AS no_replica_identity
FROM pg_class c
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind IN ('r', 'p') AND c.relreplident <> 'f'
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident))
ORDER BY 1;

-- pg_upgrade refuses these types in a table.
SELECT a.attrelid::regclass AS relation, a.attname, a.atttypid::regtype
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'custseg'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.atttypid = ANY ('{regproc,regprocedure,regoper,regoperator,regconfig,regdictionary,regnamespace,regcollation}'::regtype[])
ORDER BY 1, 2;

-- The install script puts no row into a table that a backup holds.
SELECT string_agg(format('SELECT %L AS filled FROM %s HAVING count(*) > 0', c.oid::regclass, c.oid::regclass),
                  ' UNION ALL ' ORDER BY c.relname) AS statement
FROM pg_class c JOIN pg_extension e ON e.extname = 'custseg' AND c.oid = ANY (e.extconfig)
WHERE c.relkind = 'r'
\gset
:statement;

-- Nothing of a customer can be read by everybody.
SELECT c.oid::regclass AS public_relation
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'custseg'::regnamespace AND a.grantee = 0
ORDER BY 1;

-- A function that everybody may call reads no table: it is C or SQL over its
-- arguments alone, and neither volatile nor SECURITY DEFINER.
SELECT p.oid::regprocedure AS public_function
FROM pg_proc p
WHERE p.pronamespace = 'custseg'::regnamespace AND p.prokind IN ('f', 'p')
  AND has_function_privilege('public', p.oid, 'EXECUTE')
  AND (p.prosecdef OR p.provolatile = 'v')
  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
ORDER BY 1;

-- A function that runs with its owner's rights says where it looks for things.
SELECT p.oid::regprocedure AS definer FROM pg_proc p
WHERE p.pronamespace = 'custseg'::regnamespace AND p.prosecdef
  AND NOT coalesce(p.proconfig::text ~ 'search_path=pg_catalog', false)
ORDER BY 1;

-- No function can be subverted by a search_path: SQL bodies are bound at
-- creation, and there is no other language than C.
SELECT p.oid::regprocedure AS unbound, l.lanname
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'custseg'::regnamespace AND p.prokind <> 'a'
  AND NOT (l.lanname = 'c' OR l.lanname = 'sql' AND p.prosqlbody IS NOT NULL)
ORDER BY 1;

-- Nothing that is installed depends on what others could put somewhere: all it
-- uses is PostgreSQL's (which is not recorded) or its own.
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS object,
       pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS depends_on
FROM pg_depend d
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, 0) r
WHERE (o.schema = 'custseg' OR o.identity ~ '\mcustseg\.')
  AND r.schema NOT IN ('custseg', 'pg_catalog')
ORDER BY 1, 2;
