-- What every physical server has once, whatever logical shards live on it. Statements name `calotype.*`; each logical
-- shard's tables are list partitions of the tables here, so that the number of statements does not grow with the shards.

create schema if not exists calotype;

-- A batch joins a list of keys with a partitioned table. With the planner's defaults that becomes a hash join over every
-- partition (30-68 ms at 128 partitions, measured); as a nested loop with run-time pruning it is 0.5-1.3 ms.
-- Set on the database and not by the client, so that it holds behind PgBouncer too.
do $$
declare setting text;
begin
    foreach setting in array array[
        'search_path = calotype', 'plan_cache_mode = force_generic_plan',
        'enable_hashjoin = off', 'enable_mergejoin = off', 'enable_seqscan = off', 'jit = off'
    ] loop
        execute format('alter database %I set %s', current_database(), setting);
    end loop;
end $$;

-- Milliseconds since the epoch of ids, 2026-01-01T00:00:00Z. A function of its own so that a test can turn the clock back.
create function calotype.clock_ms() returns bigint language sql volatile as $$
    select (extract(epoch from clock_timestamp()) * 1000)::bigint - 1767225600000
$$;

-- Move a logical shard's hybrid clock on by `amount` and answer the first value taken: (ms << 10 | sequence).
--
-- The clock is the shard's sequence `ids`. It only ever goes up: by `amount` while time stands still or steps back, to
-- the time when that is ahead. So more than 1,024 ids in a millisecond run into the next ones instead of wrapping, and
-- a clock that steps back repeats nothing. A sequence and not a row: nobody waits for another's transaction to end.
-- The advisory lock makes "read, then set forward" one step; it is held for microseconds, and is given back even when
-- the statement is cancelled in between. 1768190752 is "ids " in ASCII: our key space of advisory locks.
create function calotype.take_ids(shard int, amount int) returns bigint language plpgsql volatile as $$
declare
    clock constant regclass := format('s%s.ids', lpad(shard::text, 4, '0'))::regclass;
    taken bigint;
    floor bigint;
begin
    if amount not between 1 and 100000 then
        raise '1 to 100000 ids can be made at once, not %', amount using errcode = 'invalid_parameter_value';
    end if;
    begin
        perform pg_advisory_lock(1768190752, shard);
        taken := nextval(clock);
        floor := calotype.clock_ms() << 10;
        if taken < floor or amount > 1 then
            taken := greatest(taken, floor);
            perform setval(clock, taken + amount - 1);
        end if;
        perform pg_advisory_unlock(1768190752, shard);
    exception when query_canceled or others then
        perform pg_advisory_unlock(1768190752, shard);
        raise;
    end;
    if taken + amount > 1::bigint << 50 then
        raise 'the ids of shard % have run out: they last 34.8 years from 2026', shard;
    end if;
    return taken;
end $$;

create function calotype.id_at(shard int, taken bigint) returns bigint language sql immutable as $$
    select (taken >> 10) << 23 | (shard::bigint << 10) | (taken & 1023)
$$;

create function calotype.next_id(shard int) returns bigint language sql volatile as $$
    select calotype.id_at(shard, calotype.take_ids(shard, 1))
$$;

-- A run of ascending ids for a write of many rows: one trip and one lock, however many.
create function calotype.next_ids(shard int, amount int) returns setof bigint language sql volatile as $$
    select calotype.id_at(shard, f.first + n)
    from (select calotype.take_ids(shard, amount) as first) f, generate_series(0, amount - 1) n
$$;
