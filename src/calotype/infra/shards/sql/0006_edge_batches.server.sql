-- Make many inverse rows of one list what their messages say: what `edge_mirror` would leave, called for each in the order
-- of id2, with the list locked once and its count row written once. That row is what a crowd on one list waits for: a
-- transaction that wrote it for every edge would leave as many dead versions of it, and tell the log's consumers each time.
-- Of several messages of one edge the newest counts. Answers how many rows it wrote.
create function calotype.edge_mirrors(
    p_shard int, p_id1 bigint, p_atype int, p_id2s bigint[], p_times bigint[], p_data text[],
    p_source_versions bigint[], p_present boolean[], p_deadline_ms bigint
) returns bigint language plpgsql as $$
declare
    v bigint := calotype.lock_list(p_shard, p_id1, p_atype);
    edges bigint;
begin
    if calotype.now_ms() > p_deadline_ms then
        raise 'this message came after its deadline' using errcode = 'CT001';
    end if;
    -- A statement after the lock: it sees what the one that held the lock has committed.
    with sent as (
        select distinct on (k.id2) k.id2, k.time, k.data, k.source_version, k.present
        from unnest(p_id2s, p_times, p_data, p_source_versions, p_present) k (id2, time, data, source_version, present)
        order by k.id2, k.source_version desc
    ), news as materialized (
        select s.*, coalesce(not a.deleted, false) as was_there, row_number() over (order by s.id2) as n
        -- The limit makes the planner look each row up. Where it takes lists for short it would read all of this one.
        from sent s left join lateral (
            select * from calotype.associations e
            where e.shard = p_shard and e.id1 = p_id1 and e.atype = p_atype and e.id2 = s.id2 limit 1
        ) a on true
        where a.source_version is null or a.source_version < s.source_version
    ), written as (
        insert into calotype.associations
        select p_shard, p_id1, p_atype, s.id2, case when s.present then s.time else calotype.now_ms() end,
            s.data::jsonb, v + s.n, s.source_version, not s.present
        from news s
        on conflict (id1, atype, id2, shard) do update set time = excluded.time, data = excluded.data,
            version = excluded.version, source_version = excluded.source_version, deleted = excluded.deleted
    )
    update calotype.association_counts c set version = v + t.edges, count = c.count + t.growth
        from (select count(*) as edges, sum(s.present::int - s.was_there::int) as growth from news s) t
        where c.shard = p_shard and c.id1 = p_id1 and c.atype = p_atype and t.edges > 0
        returning t.edges into edges;
    return coalesce(edges, 0);
end $$;
