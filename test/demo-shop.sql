-- A believable shop of 20,000 customers over three years, ending now. Every
-- run makes the same people and the same habits: chance is a hash of the
-- customer's number, so only the calendar moves.

SET client_min_messages = warning;
SET timezone = 'Europe/London';
CREATE SCHEMA shop;

-- Chance: a number between 0 and 1, and a bell-shaped one around 0.
CREATE FUNCTION shop.chance(id bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((hashint8extended(id, salt) >> 11) & ((1::bigint << 52) - 1)) / (1::bigint << 52)::double precision;
CREATE FUNCTION shop.bell(id bigint, salt bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sqrt(-2 * ln(greatest(shop.chance(id, salt), 1e-9))) * cos(2 * pi() * shop.chance(id, salt + 7919));

CREATE TABLE shop.customers (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    phone text,
    email text,
    do_not_contact boolean NOT NULL,
    registered_at timestamptz NOT NULL
);

CREATE TABLE shop.orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint REFERENCES shop.customers,
    paid_at timestamptz,
    amount numeric(12,2),
    status text NOT NULL,
    on_promotion boolean NOT NULL
);

-- Who they are and what they are like. The shop grows: more people join late.
CREATE TEMP TABLE person AS
SELECT id, kind, now() - interval '1095 days' * (1 - power(shop.chance(id, 2), CASE WHEN id % 2 = 0 THEN 1 ELSE 0.5 END)) AS joined,
       -- days between purchases, and how much that varies
       CASE kind WHEN 'vip' THEN exp(ln(32) + 0.35 * shop.bell(id, 3))
                 WHEN 'regular' THEN exp(ln(30) + 0.50 * shop.bell(id, 3))
                 WHEN 'occasional' THEN exp(ln(95) + 0.40 * shop.bell(id, 3))
                 WHEN 'angry' THEN exp(ln(45) + 0.40 * shop.bell(id, 3)) END AS rhythm,
       CASE kind WHEN 'vip' THEN 0.35 WHEN 'regular' THEN 0.45 ELSE 0.55 END AS unrest,
       -- chance of never coming back, after each purchase
       CASE kind WHEN 'vip' THEN 0.045 WHEN 'regular' THEN 0.06 WHEN 'occasional' THEN 0.16 ELSE 0.25 END AS leaving,
       -- a usual basket
       exp(ln(CASE kind WHEN 'vip' THEN 260 WHEN 'regular' THEN 48 WHEN 'occasional' THEN 62
                        WHEN 'seasonal' THEN 85 WHEN 'bargain' THEN 33 ELSE 44 END) + 0.45 * shop.bell(id, 4)) AS basket
FROM (SELECT id, CASE WHEN u < 0.025 THEN 'vip' WHEN u < 0.20 THEN 'regular' WHEN u < 0.44 THEN 'occasional'
                      WHEN u < 0.54 THEN 'bargain' WHEN u < 0.60 THEN 'seasonal' WHEN u < 0.62 THEN 'angry'
                      WHEN u < 0.65 THEN 'visitor' ELSE 'once' END AS kind
      FROM (SELECT id, shop.chance(id, 1) AS u FROM generate_series(1, 20000) AS id) AS drawn) AS kinds;

INSERT INTO shop.customers
SELECT id,
       first_names[ceil(shop.chance(id, 20) * cardinality(first_names))] || ' ' || last_names[ceil(shop.chance(id, 21) * cardinality(last_names))],
       CASE WHEN shop.chance(id, 22) < 0.96
            THEN format('+999 %s %s', 20 + id % 80, lpad((1000000 + (shop.chance(id, 23) * 8999999)::int)::text, 7, '0')) END,
       CASE WHEN shop.chance(id, 24) < 0.93 THEN format('customer%s@example.com', id) END,
       shop.chance(id, 25) < 0.03,
       joined - interval '5 minutes'
FROM person,
     (SELECT string_to_array('Ada Amara Amir Ana Andrei Anna Aylin Ben Bo Carla Chen Chloe Daniel David Elena Emma Eva Farid Fatima Felix Grace Hana Henry Ines Ivan Jack Jana Jin Jonas Julia Kofi Lars Laura Lea Leo Lina Lucas Maria Maya Mei Nadia Noah Nora Olga Omar Paul Rosa Sam Wei', ' ') AS first_names,
             string_to_array('Adams Ahmed Ali Andersen Bauer Becker Bianchi Brown Castro Chan Clark Costa Cruz Diaz Dubois Evans Fischer Fontana Garcia Gill Haas Hansen Hughes Ito Jensen Kaya Khan Kim Kowalski Lang Lee Lopez Martin Meyer Moreau Nguyen Novak Okafor Olsen Park Patel Petrov Reed Rossi Santos Sato Schmidt Silva Smith Tanaka Wang', ' ') AS last_names) AS n;

-- Promotions: a week in spring, ten days in summer, the end of November.
CREATE TEMP TABLE promotion AS
SELECT day + hour AS starts, day + hour + length AS ends, row_number() OVER (ORDER BY day) AS n
FROM (SELECT make_date(y, m, d)::timestamptz AS day, interval '8 hours' AS hour, days * interval '1 day' AS length
      FROM generate_series(extract(year FROM now())::int - 3, extract(year FROM now())::int) AS y,
           (VALUES (3, 20, 7), (6, 18, 10), (11, 22, 8)) AS v (m, d, days)) AS p
WHERE day < now();

-- People with a rhythm: each gap varies around their own, and after each
-- purchase some never return.
CREATE TEMP TABLE purchase AS
SELECT id, kind, basket, at, n, n >= stays AS is_last
FROM (SELECT p.id, p.kind, p.basket, n, p.stays,
             joined + interval '1 day' * coalesce(sum(exp(ln(rhythm) + unrest * shop.bell(p.id * 1000 + n, 5)))
                                                  OVER (PARTITION BY p.id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS at
      FROM (SELECT *, 1 + floor(ln(greatest(shop.chance(id, 6), 1e-9)) / ln(1 - leaving))::int AS stays
            FROM person WHERE rhythm IS NOT NULL) AS p,
           LATERAL generate_series(1, least(p.stays, 400)) AS n) AS walk
WHERE at < now()
UNION ALL
-- those who came once
SELECT id, kind, basket, joined, 1, true FROM person WHERE kind = 'once'
UNION ALL
-- those who buy only when there is a promotion
SELECT id, kind, basket, at, n, false
FROM (SELECT p.id, p.kind, p.basket, p.joined, pr.n,
             starts + (ends - starts) * shop.chance(p.id * 1000 + pr.n, 8) AS at
      FROM person p JOIN promotion pr ON pr.ends > p.joined AND shop.chance(p.id * 1000 + pr.n, 9) < 0.55
      WHERE p.kind = 'bargain') AS b
WHERE at BETWEEN joined AND now()
UNION ALL
-- those who buy presents before Christmas
SELECT id, kind, basket, at, y * 10 + n, false
FROM (SELECT p.id, p.kind, p.basket, p.joined, y, n,
             make_date(y, 11, 25)::timestamptz + interval '27 days' * shop.chance(p.id * 1000 + y * 10 + n, 10) AS at
      FROM person p, generate_series(extract(year FROM now())::int - 3, extract(year FROM now())::int) AS y,
           generate_series(1, 3) AS n
      WHERE p.kind = 'seasonal' AND shop.chance(p.id * 1000 + y * 10 + n, 11) < 0.5) AS s
WHERE at BETWEEN joined AND now();

-- Nobody orders evenly around the clock.
UPDATE purchase SET at = least(date_trunc('day', at) + interval '7 hours'
    + interval '16 hours' * (0.5 * shop.chance(id * 1000 + n, 12) + 0.5 * shop.chance(id * 1000 + n, 13)), now() - interval '1 minute')
WHERE kind <> 'once' OR extract(hour FROM at) < 7;

INSERT INTO shop.orders (customer_id, paid_at, amount, status, on_promotion)
SELECT customer_id, paid_at, round(amount::numeric, 2), status, on_promotion
FROM (SELECT id AS customer_id, at AS paid_at,
             basket * exp(0.30 * shop.bell(id * 1000 + n, 14)) * CASE WHEN promoted THEN 0.7 ELSE 1 END AS amount,
             'paid' AS status, promoted AS on_promotion
      FROM (SELECT p.*, EXISTS (SELECT FROM promotion pr WHERE p.at BETWEEN pr.starts AND pr.ends)
                        AND (kind = 'bargain' OR shop.chance(id * 1000 + n, 15) < 0.4) AS promoted
            FROM purchase p) AS p
      UNION ALL
      -- baskets that were never paid for
      SELECT id, at - interval '20 minutes', basket, 'cancelled', false
      FROM purchase WHERE shop.chance(id * 1000 + n, 16) < 0.02) AS o
ORDER BY paid_at;

-- Something comes back now and then; those who left angry sent back the last
-- thing they bought, and all of it.
INSERT INTO shop.orders (customer_id, paid_at, amount, status, on_promotion)
SELECT customer_id, paid_at, amount, 'refunded', false
FROM (SELECT o.customer_id, o.paid_at + interval '1 day' * (2 + 8 * shop.chance(o.order_id, 17)) AS paid_at,
             round(-o.amount * CASE WHEN p.kind = 'angry' THEN 1 ELSE (0.3 + 0.7 * shop.chance(o.order_id, 18))::numeric END, 2) AS amount
      FROM shop.orders o JOIN person p ON p.id = o.customer_id
      WHERE o.status = 'paid'
        AND CASE p.kind WHEN 'angry' THEN o.paid_at = (SELECT max(at) FROM purchase l WHERE l.id = p.id AND l.is_last)
                        ELSE shop.chance(o.order_id, 19) < 0.025 END) AS r
WHERE paid_at < now()
ORDER BY paid_at;

-- And what every real table has: guests who left no account, and a payment
-- whose time or amount got lost.
INSERT INTO shop.orders (customer_id, paid_at, amount, status, on_promotion)
SELECT NULL, now() - interval '1095 days' * shop.chance(n, 30), round((20 + 60 * shop.chance(n, 31))::numeric, 2), 'paid', false
FROM generate_series(1, 400) AS n;
INSERT INTO shop.orders (customer_id, paid_at, amount, status, on_promotion)
SELECT 1 + (shop.chance(n, 32) * 19999)::int, CASE WHEN n > 4 THEN NULL ELSE now() - n * interval '40 days' END,
       CASE WHEN n > 4 THEN 30 ELSE 'NaN'::numeric END, 'paid', false
FROM generate_series(1, 12) AS n;

DROP FUNCTION shop.bell(bigint, bigint), shop.chance(bigint, bigint);
CREATE INDEX ON shop.orders (customer_id);
ANALYZE shop.customers, shop.orders;
