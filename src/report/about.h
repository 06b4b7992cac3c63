/*
 * about.h
 *		Where something is kept about a customer, for export and forget.
 */
#ifndef CUSTSEG_ABOUT_H
#define CUSTSEG_ABOUT_H

/*
 * The tables of the extension that have a column customer_id, and so are about
 * customers: looked up, so that none is left out that is added later.
 */
#define TABLES_ABOUT_CUSTOMERS \
	"SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c" \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped" \
	" JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0" \
	" JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid" \
	" WHERE e.extname = 'custseg' AND d.deptype = 'e' AND c.relkind = 'r' AND c.relname <> 'forget_pending'" \
	" ORDER BY c.relname"

/* A sample s of a rejected row of source m is of the customer with key k; a long key is shown cut off. */
#define SAMPLE_IS_OF_KEY \
	"m.namespace = k.namespace AND (s.shown->>'customer' = k.key" \
	" OR (pg_catalog.octet_length(s.shown->>'customer') > 190 AND pg_catalog.starts_with(k.key, s.shown->>'customer')))"

#endif							/* CUSTSEG_ABOUT_H */
