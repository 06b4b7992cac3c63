-- profile: stand-in until the profile room arrives.

CREATE TABLE custseg.profile (
    customer_id bigint PRIMARY KEY,
    customer_key text,
    timeline custseg.timeline NOT NULL
);
SELECT pg_catalog.pg_extension_config_dump('custseg.profile', '');
