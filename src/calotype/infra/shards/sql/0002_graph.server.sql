-- The graph's tables. Times are milliseconds since 1970; versions grow with every write of a row or list.

create table calotype.objects (
    shard int not null,
    id bigint not null,
    otype int not null,
    data jsonb not null,
    version bigint not null,
    created bigint not null,
    updated bigint not null,
    primary key (id, shard)
) partition by list (shard);

create table calotype.associations (
    shard int not null,
    id1 bigint not null,
    atype int not null,
    id2 bigint not null,
    time bigint not null,
    data jsonb,
    version bigint not null,
    source_version bigint,  -- of an inverse row: the version of the forward write that it mirrors
    deleted boolean not null default false,  -- a tombstone of an inverse row: hidden from reads, out of the count
    primary key (id1, atype, id2, shard)
) partition by list (shard);

-- Newest first; `id2 desc` breaks ties in the same direction, so that a cursor is one row comparison.
create index associations_living on calotype.associations (id1, atype, time desc, id2 desc) where not deleted;
create index associations_tombstones on calotype.associations (time) where deleted;

create table calotype.association_counts (
    shard int not null,
    id1 bigint not null,
    atype int not null,
    count bigint not null,
    version bigint not null,  -- of the whole list: survives its rows, so an edge deleted and added again still grows
    primary key (id1, atype, shard)
) partition by list (shard);

create table calotype.claims (
    shard int not null,
    kind text not null,
    key text not null,
    id bigint not null,
    created bigint not null,
    primary key (kind, key, shard)
) partition by list (shard);

create table calotype.outbox (
    shard int not null,
    id bigint not null,
    kind text not null,
    payload jsonb not null,
    created bigint not null,
    due bigint not null,
    attempts int not null default 0,
    primary key (id, shard)
) partition by list (shard);
create index outbox_due on calotype.outbox (due);

create function calotype.now_ms() returns bigint language sql volatile as $$
    select (extract(epoch from clock_timestamp()) * 1000)::bigint
$$;

-- Lock a list (id1, atype) by its count row, made if need be, and answer its version. Every write of a list starts
-- here, so writes of one list are serial and its versions have no gaps.
create function calotype.lock_list(p_shard int, p_id1 bigint, p_atype int) returns bigint language plpgsql as $$
declare v bigint;
begin
    select version into v from calotype.association_counts where shard = p_shard and id1 = p_id1 and atype = p_atype for update;
    if not found then
        insert into calotype.association_counts values (p_shard, p_id1, p_atype, 0, 0) on conflict do nothing;
        select version into v from calotype.association_counts where shard = p_shard and id1 = p_id1 and atype = p_atype for update;
    end if;
    return v;
end $$;

-- Make the inverse row what forward version `p_source_version` says, unless it already mirrors a newer one. The relay
-- that carries the message states until when it may: later, tombstones that protect against it may be gone.
create function calotype.edge_mirror(
    p_shard int, p_id1 bigint, p_atype int, p_id2 bigint, p_time bigint, p_data jsonb,
    p_source_version bigint, p_present boolean, p_deadline_ms bigint
) returns boolean language plpgsql as $$
declare
    v bigint := calotype.lock_list(p_shard, p_id1, p_atype) + 1;
    was_there boolean := false;
    was_version bigint;
begin
    if calotype.now_ms() > p_deadline_ms then
        raise 'this message came after its deadline' using errcode = 'CT001';
    end if;
    select not deleted, source_version into was_there, was_version from calotype.associations
        where shard = p_shard and id1 = p_id1 and atype = p_atype and id2 = p_id2;
    if was_version >= p_source_version then
        return false;
    end if;
    if not p_present then
        p_time := calotype.now_ms();  -- of a tombstone: since when it is one, for the purge
    end if;
    insert into calotype.associations values (p_shard, p_id1, p_atype, p_id2, p_time, p_data, v, p_source_version, not p_present)
        on conflict (id1, atype, id2, shard) do update
        set time = p_time, data = p_data, version = v, source_version = p_source_version, deleted = not p_present;
    update calotype.association_counts set version = v, count = count + p_present::int - coalesce(was_there, false)::int
        where shard = p_shard and id1 = p_id1 and atype = p_atype;
    return true;
end $$;

-- Add, change or delete a forward edge, its count and, where it has an inverse, the message for it: one transaction.
-- An edge that is there already with the same data stays as it is, its time too unless another one is asked for.
-- `p_touch` writes the edge's present state again under a new version (repair). The inverse on the same shard is
-- mirrored at once and needs no message.
create function calotype.edge_write(
    p_shard int, p_id1 bigint, p_atype int, p_id2 bigint, p_time bigint, p_data jsonb,
    p_present boolean, p_inverse int, p_inverse_shard int, p_touch boolean default false,
    out changed boolean, out version bigint, out edge_time bigint, out message bigint
) language plpgsql as $$
declare
    old record;
    there boolean;
begin
    -- Everybody locks lists by (id1, atype), so that no two wait for each other.
    if p_inverse is not null and p_inverse_shard = p_shard and (p_id2, p_inverse) < (p_id1, p_atype) then
        perform calotype.lock_list(p_shard, p_id2, p_inverse);
    end if;
    version := calotype.lock_list(p_shard, p_id1, p_atype);
    select e.time, e.data into old from calotype.associations e
        where e.shard = p_shard and e.id1 = p_id1 and e.atype = p_atype and e.id2 = p_id2;
    there := found;
    if p_touch then
        p_present := there;
        p_data := old.data;
    end if;
    edge_time := coalesce(p_time, old.time, calotype.now_ms());
    changed := p_touch or p_present <> there or (there and (old.time <> edge_time or old.data is distinct from p_data));
    if not changed then
        return;
    end if;
    version := version + 1;
    if p_present then
        insert into calotype.associations values (p_shard, p_id1, p_atype, p_id2, edge_time, p_data, version)
            on conflict (id1, atype, id2, shard) do update
            set time = edge_time, data = p_data, version = excluded.version;
    else
        delete from calotype.associations e where e.shard = p_shard and e.id1 = p_id1 and e.atype = p_atype and e.id2 = p_id2;
    end if;
    update calotype.association_counts c
        set version = edge_write.version, count = c.count + p_present::int - there::int
        where c.shard = p_shard and c.id1 = p_id1 and c.atype = p_atype;
    if p_inverse is null then
        return;
    end if;
    if p_inverse_shard = p_shard then
        perform calotype.edge_mirror(p_shard, p_id2, p_inverse, p_id1, edge_time, p_data, version, p_present, 9223372036854775807);
    else
        message := calotype.next_id(p_shard);
        insert into calotype.outbox values (
            p_shard, message, 'mirror',
            jsonb_build_object('id1', p_id2, 'atype', p_inverse, 'id2', p_id1, 'time', edge_time, 'data', p_data, 'source_version', version, 'present', p_present),
            calotype.now_ms(), calotype.now_ms() + 1000
        );
    end if;
end $$;
