-- SELECTs that between them hold everything the allow-lists name; test_allow_lists.py runs each on every target.
-- The line above each says what it shows, and in brackets which targets must refuse it.

-- integers are added, subtracted, multiplied
select id, s + 1 as a, b - 2 as c, cast(s as bigint) * b as m, -b as n from edges;

-- integers are divided towards zero
select id, b // 2 as a, b // -2 as c, b % 2 as m, b % -2 as n, 7 // nullif(s, 0) as q from edges;

-- a product beyond 32 bits is cast first
select id, cast(i as bigint) * 2 as a from edges;

-- absolute values
select id, abs(b) as a, abs(d) as c, abs(f) as e from edges;

-- true division
select id, b / 2 as a, d / 4 as c, f / 8 as e, 1 / nullif(b, 0) as x, d / nullif(d, 0) as y from edges;

-- division by zero is infinite
select id, 1 / b as a, -1.5 / s as c from edges where b = 0 or b = 3;

-- a negative zero divides to minus infinity
select id, 1 / (f * -1) as a from edges where f = 0 or f = 0.5;

-- doubles
select id, f + 1 as a, f - b as c, f * 2 as m, -f as n, sqrt(abs(f)) as q, exp(f / 1e11) as e from edges;

-- powers and logarithms [refused: snowflake, spark]
select id, ln(abs(f) + 1) as l, power(f, 2) as p from edges;

-- decimals are added and subtracted
select id, d + w as a, d - 1 as c, d + b as m, w - d as n, -d as o, d + 0.125 as p from edges;

-- decimals are multiplied
select id, d * 2 as a, d * 0.5 as c, d * (1 - 0.05) * (1 + 0.08) as m, s * 0.1 as o from edges;

-- factors with closing zeros
select sum(d) * 0.0100000000 as a, sum(w) * 0.50 as c from edges;

-- decimals of all 38 digits
select id, coalesce(d, floor(w)) as a, greatest(w, 0.125) as c, d < floor(w) as m, floor(w) + d as n from edges;

-- decimals leave a remainder
select id, d % 2 as a, d % 1.5 as c from edges;

-- decimals meet doubles
select id, d * f as a, d + f as c, d > f as m from edges;

-- decimals are rounded
select id, round(d, 1) as a, round(d) as c, floor(d) as m, ceil(d) as n, round(d, 2) as o from edges;

-- whole numbers are floored
select id, floor(b / 2) as a, ceil(f) as c, floor(f) as m, round(b) as n from edges;

-- doubles are rounded [refused: snowflake, spark]
select id, round(f, 2) as a, round(f) as c from edges;

-- decimal literals
select id, 0.5 as a, 00.50 as c, -0.25 as m, cast(1.005 as decimal(10, 2)) as n, 1e3 as o from edges;

-- casts between numbers
select id, cast(b as decimal(20, 1)) as a, cast(d as integer) as c, cast(d as double) as m from edges;

-- casts to fewer digits
select id, cast(d as decimal(12, 1)) as a, cast(w as decimal(18, 0)) as c, cast(b as double) as m from edges;

-- casts of doubles to whole numbers [refused: snowflake]
select id, cast(f as bigint) as a from edges;

-- casts of doubles to decimals [refused: snowflake, spark]
select id, cast(f as decimal(18, 2)) as a from edges;

-- casts to text
select id, cast(b as varchar) as a, cast(d as varchar) as c, cast(dt as varchar) as m,
    cast(bo as varchar) as n
from edges;

-- casts of truth
select id, cast(bo as integer) as a, cast(b as boolean) as c from edges;

-- casts between moments
select id, cast(ts as date) as a, cast(tz as date) as c, cast(dt as timestamp) as m from edges;

-- casts to zoned moments
select id, cast(dt as timestamptz) as a, cast(ts as timestamptz) as c, cast(tz as timestamp) as m from edges;

-- sums of many digits
select id, cast(d as hugeint) as a, cast(s as hugeint) + 1 as c from edges;

-- casts of text to numbers [refused: snowflake, spark]
select cast(t as integer) as a, cast(t as decimal(9, 1)) as c, cast(t as double) as m, cast(t as bigint) as n
from (values ('12'), (' -7 '), ('0')) as x(t);

-- casts of text to truth and days [refused: snowflake, spark]
select cast(t as boolean) as a, cast(d as date) as c
from (values ('true', '2024-02-29'), ('f', '1900-01-01')) as x(t, d);

-- written moments
select id, dt < date '2024-2-1' as a, tz >= timestamptz '2024-01-01T01:00:00+01:00' as c,
    ts = timestamp '2023-12-31' as m, dt = '2024-02-29' as n, date '2024-01-31' as o
from edges;

-- equality
select id, b = 3 as a, d <> 1.25 as c, v = 'abc' as m, dt = dt2 as n, bo = true as o, d = 12.5 as p from edges;

-- order
select id, b < s as a, d <= 1.25 as c, v > 'B' as m, dt >= dt2 as n, d < w as o, tz < tz2 as p, d > 9 as q
from edges;

-- values that are or are not distinct
select id, g is distinct from v as a, d is not distinct from w as c from edges;

-- NULL
select id, v is null as a, v is not null as c, null as n, coalesce(null, b) as x from edges;

-- truth
select id, bo is true as a, bo is not true as c, bo is false as m, not bo as n, bo and b > 0 as o,
    bo or d > 0 as p
from edges;

-- ranges and lists
select id, b between 1 and 4 as a, d between -1.25 and 12.5 as c, g in ('a', 'b') as m, d in (1.25, 2.5) as n,
    b not in (3, 4) as o, dt between dt2 and dt as p
from edges;

-- CASE
select id, case when b > 2 then d when b < 0 then 0 else 1.5 end as a,
    case g when 'a' then 1 when 'b' then 2 end as c, if(bo, b, s) as m, case when bo then dt else ts end as n
from edges;

-- COALESCE and NULLIF
select id, coalesce(d, 0) as a, nullif(b, 3) as c, nullif(d, 1.25) as m, coalesce(v, g, 'x') as n from edges;

-- GREATEST and LEAST pass over NULL
select id, greatest(b, s, 2) as a, least(d, w) as c, greatest(dt, dt2) as m, least(v, u) as n,
    greatest(d, 1) as o, least(f, 1) as p
from edges;

-- joined text
select id, v || '-' || g as a, concat(v, b, g) as c, v || b as m, 'x' || d as n, g || dt as o from edges;

-- case of letters
select id, lower(v) as a, upper(v) as c from edges;

-- trimmed text
select id, trim(v) as a from edges;

-- text trimmed on one side [refused: snowflake]
select id, ltrim(v) as c, rtrim(v) as m from edges;

-- trimmed characters [refused: snowflake]
select id, trim(v, 'aAe') as n, ltrim(v, 'a ') as o, rtrim(v, 'c') as p from edges;

-- places in text
select id, position('b' in v) as a, strpos(v, '') as c, contains(v, 'b') as m, starts_with(v, 'A') as n
from edges;

-- lengths and parts
select id, length(v) as a, substr(v, 2) as c, substr(v, 2, 3) as m, left(v, 2) as n, right(v, 2) as o,
    right(v, 0) as p, substr(v, 1, 0) as q
from edges;

-- parts from the end [refused: snowflake, spark]
select id, substr(v, -2) as a, substr(v, 0, 2) as c, substr(v, -3, 2) as m from edges;

-- replaced text
select id, replace(v, 'b', 'BB') as a, replace(v, '', 'x') as c from edges;

-- patterns
select id, v like 'A%' as a, v like '%c' as c, v not like '_b_' as m, v like 'a!_c!%' escape '!' as n,
    v like '%\%' as o
from edges;

-- patterns that take any case
select id, v ilike 'aBC' as a, v ilike '%ß%' as c, v not ilike '%σ' as m, v ilike 'i%' as n from edges;

-- computed patterns [refused: spark]
select id, v like u as a from edges;

-- parts of dates
select id, year(dt) as y, month(dt) as m, day(dt) as a, quarter(dt) as q, dayofweek(dt) as w, isodow(dt) as o,
    dayofyear(dt) as e, weekofyear(dt) as k, extract(week from dt) as l
from edges;

-- parts of moments
select id, extract(year from tz) as y, hour(tz) as h, minute(ts) as m, second(ts) as s2,
    extract(dow from ts) as w
from edges;

-- days between
select id, dt - dt2 as a, date_diff('day', dt, dt2) as c, date_diff('month', dt, dt2) as m,
    date_diff('year', ts, tz) as y, date_diff('quarter', dt, dt2) as q, date_diff('day', ts, tz2) as n
from edges;

-- microseconds between
select id, date_diff('microsecond', tz, tz2) as a, date_diff('microsecond', ts, tz2) as c,
    date_diff('microsecond', ts, timestamp '2024-02-29 00:00:00') as m
from edges;

-- hours between [refused: snowflake, spark]
select id, date_diff('hour', tz, tz2) as a, date_diff('second', ts, tz2) as c,
    date_diff('minute', ts, ts) as m
from edges;

-- truncated dates
select id, date_trunc('month', dt) as a, date_trunc('year', ts) as c, date_trunc('day', tz) as m,
    date_trunc('quarter', dt) as q, date_trunc('hour', tz) as h, cast(date_trunc('month', dt) as date) as n
from edges;

-- truncated to weeks [refused: snowflake]
select id, date_trunc('week', dt) as a, date_trunc('week', tz) as c from edges;

-- days later
select id, dt + 1 as a, dt - 30 as c, dt + s as m, dt - cast(s as integer) as n, last_day(dt) as l from edges;

-- months later
select id, dt + interval 1 month as a, dt - interval '1' year as c, tz + interval 13 month as m,
    ts - interval 1 month as n, dt + interval 2 week as o
from edges;

-- hours later
select id, ts + interval 1 hour as a, tz - interval 90 minute as c, dt + interval 1 day as m,
    ts + interval 5 second as n
from edges;

-- computed intervals
select id, dt + interval (s) day as a, date_add(dt, interval (s) month) as c, tz - interval (s) hour as m
from edges;

-- made dates
select id, make_date(year(dt), month(dt), 1) as a from edges;

-- made dates of computed days [refused: snowflake]
select id, make_date(2024, 2, s + 1) as a from edges;

-- whole groups
select g, count(*) as n, count(v) as c, count(distinct s) as d, sum(s) as t, min(b) as lo, max(b) as hi,
    avg(s) as m
from edges
group by g;

-- money
select g, sum(d) as t, avg(d) as m, min(d) as lo, max(d) as hi, avg(w) as x from edges group by g;

-- doubles in groups
select g, sum(f) as t, avg(f) as m, avg(b) as n from edges group by g;

-- sums of distinct values [refused: snowflake]
select g, sum(distinct d) as t, avg(distinct s) as m from edges group by g;

-- nothing at all
select count(*) as n, sum(d) as t, avg(f) as m, max(v) as x, count_if(bo) as c, min(d) as lo from nobody;

-- truth in groups
select g, bool_and(bo) as a, bool_or(bo) as o, count_if(bo) as c, min(bo) as lo, max(bo) as hi
from edges
group by g;

-- spreads
select g, stddev(d) as a, stddev_samp(s) as b, stddev_pop(s) as c, variance(s) as e, var_pop(d) as p,
    var_samp(s) as q
from edges
group by g;

-- quantiles
select g, median(s) as a, quantile_cont(s, 0.25) as q,
    percentile_cont(0.75) within group (order by s desc) as p, median(cast(d as double)) as m
from edges
group by g;

-- FILTER
select g, count(*) filter (where bo) as n, sum(d) filter (where b > 0) as t, max(v) filter (where bo) as x,
    count(distinct s) filter (where b > 0) as u, avg(s) filter (where bo) as m
from edges
group by g;

-- HAVING
select g, sum(d) as t from edges group by g having sum(d) > 10 and count(*) >= 2;

-- GROUPING SETS
select g, bo, sum(d) as t, grouping(g) as x
from edges
group by grouping sets ((g, bo), (g), ())
order by x, g, bo, t limit 20;

-- GROUPING SETS without the empty one
select g, s % 2 as p, sum(d) as t, grouping(g) as x from edges group by grouping sets ((g, s % 2), (g));

-- ROLLUP
select g, bo, count(*) as n, grouping(bo) as x from edges group by rollup (g, bo) having count(*) > 1;

-- CUBE
select g, s % 2 as p, sum(s) as n from edges group by cube (g, s % 2);

-- keys beside a ROLLUP
select g, bo, s % 2 as p, sum(d) as t from edges group by g, rollup (bo, s % 2);

-- keys beside a CUBE
select g, bo, s % 2 as p, count(*) as n from edges group by g, cube (bo, s % 2);

-- the empty grouping set of nothing
select g, count(*) as n from nobody group by rollup (g);

-- order of a grouping that is not selected
select sum(d) as t from edges group by rollup (g) order by sum(b), t;

-- ranks
select id, row_number() over (order by g nulls first, id) as n, rank() over (partition by g order by d) as r,
    dense_rank() over (order by d desc) as e, ntile(3) over (order by id) as t,
    percent_rank() over (order by s) as p, cume_dist() over (order by s) as c
from edges;

-- neighbours
select id, lead(d) over (order by id) as a, lag(b, 2, 0) over (order by id) as c,
    lead(d, 1, 0) over (partition by g order by id) as m,
    first_value(v) over (partition by g order by id) as f,
    last_value(v) over (partition by g order by id rows between unbounded preceding and unbounded following) as l
from edges;

-- running totals
select id, sum(d) over (order by id rows between unbounded preceding and current row) as a,
    sum(d) over (partition by g order by id rows between 1 preceding and 1 following) as c,
    sum(b) over () as m, avg(d) over (partition by g) as n, count(*) over (partition by g) as o,
    max(d) over (order by id) as p, avg(s) over (order by id) as q,
    sum(f) over (order by id rows between 2 preceding and current row) as r
from edges;

-- spreads over windows
select id, stddev(s) over (partition by g) as a,
    var_pop(s) over (order by id rows between 2 preceding and current row) as c
from edges;

-- sums of sums
select g, sum(sum(d)) over (order by g) as t from edges group by g;

-- FILTER over windows
select id, sum(d) filter (where bo) over (partition by g) as t from edges;

-- QUALIFY
select id, g, d
from edges
qualify row_number() over (partition by g order by d desc, id) = 1
order by id desc limit 3;

-- QUALIFY with an order that is not selected
select g, id
from edges
where b is not null
qualify rank() over (partition by g order by s) <= 2
order by dt, id;

-- QUALIFY before DISTINCT
select distinct g from edges qualify count(*) over (partition by g) > 2;

-- joins
select e.id, o.price, o."order" from edges as e inner join silver.others as o on e.id = o.id;

-- left joins
select e.id, o.price + e.d as t from edges as e left join silver.others as o on e.id = o.id and e.g = o.g;

-- right and full joins
select e.id as a, o.id as b
from edges as e full join silver.others as o on e.id = o.id
union all select e.id as a, o.id as b
from edges as e right join silver.others as o on e.id = o.id;

-- cross joins
select e.id, o.id as b from edges as e cross join silver.others as o where e.id < 3;

-- joins with USING
select id, g, o.price, d from edges join silver.others as o using (id, g);

-- natural joins
select e.id, g, o.price from edges as e natural join silver.others as o;

-- commas
select e.id, o.price from edges e, silver.others o where e.d = o.price;

-- DISTINCT
select distinct g, s % 2 as p from edges;

-- order puts NULL last
select id, d from edges order by d, id;

-- descending order puts NULL last too
select id, v from edges order by v desc, id;

-- order puts NULL first when asked
select id, dt from edges order by dt nulls first, id desc limit 4 offset 2;

-- order by an expression
select id, g from edges order by d * -1, id;

-- OFFSET alone
select id from edges order by id offset 9;

-- common table expressions
with a as (select id, d from edges), b(n, m) as (select id, d + 1 from a) select a.id, b.m
from a join b on a.id = b.n;

-- names of columns behind an alias
select t.x, t.y from (select id, d from edges) as t(x, y);

-- VALUES
select t.a, t.b, t.c + 1 as d from (values (1, 'x', 1.5), (2, null, 2.25)) as t(a, b, c);

-- UNION
select g as x from edges union select g from silver.others;

-- UNION ALL of types
select d as x from edges union all select price from silver.others union all select 1;

-- EXCEPT
select g from edges except select g from silver.others;

-- INTERSECT
select g from edges intersect select g from silver.others;

-- parentheses around operands
(select g from edges where id < 3) union all (select g from silver.others where id = 2) order by g;

-- UNION with an order
select id, d from edges union all select id, price from silver.others order by d desc, id limit 5;

-- EXCEPT with all around
with t as (select g from edges) select g from t except select g from silver.others order by g limit 3 offset 1;

-- INTERSECT with all around
with t as (select g from edges) select g
from t
intersect select g
from silver.others
order by g desc limit 2 offset 1;

-- UNION with all around
with t as (select g from edges) select g from t union select g from silver.others order by g limit 3 offset 1;

-- EXISTS
select id
from edges as e
where exists (select 1 from silver.others as o where o.id = e.id) or not exists (select * from silver.others as o where o.g = e.g);

-- IN a SELECT
select id
from edges
where g in (select g from silver.others where g is not null) and b not in (select "order" from silver.others);

-- a SELECT as a value
select id, (select max(price) from silver.others) as m,
    d > (select avg(price) from silver.others as o where o.g = edges.g) as p
from edges;

-- a SELECT of one row
select id, (select price from silver.others order by price desc limit 1) as m from edges;

-- names that are words of SQL
select o."order" as "select", o.id as "group" from silver.others as o;

-- a constant
select 1 as a, 'x' as b, true as c, false as d;

-- an alias that is no column, in GROUP BY and HAVING
select lower(g) as letter, count(*) as n from edges group by letter having n > 1;

-- an alias in a later projection, where a column of that name goes first
select id, b + 1 as x, x * 2 as y, lower(v) as v, v || 'x' as z from edges;

-- NOT IN with NULL among the values
select id from edges where g not in (select g from silver.others);

-- windows over ranges of values
select id, sum(s) over (order by s desc range between unbounded preceding and current row) as n from edges;

-- stars and USING on a full join
select * exclude (price, "order") from silver.others as o full join (select id from edges) as e using (id);

-- text made of compared decimals is compared as text
select id, case when d < 1 then 'small' else '' end || v as a from edges
where case when d < 1 then 'small' else '' end || v <> '';

-- decimals between decimals
select id, d between -1 and 10.5 as a, d not between d and 2 as b from edges;

-- a sum of large whole numbers is exact
select g, sum(b + 9007199254740993) as a, sum(d + 99999999999.99) as c from edges group by g;
