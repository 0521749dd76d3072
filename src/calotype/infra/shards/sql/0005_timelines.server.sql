-- Timelines: for each owner the newest entries of a kind, as they were pushed to them. They repeat what the graph says,
-- and may be dropped at any time: whoever finds none reads the graph and has one made.

create table calotype.timelines (
    shard int not null,
    owner bigint not null,
    kind smallint not null,
    time bigint not null,
    id bigint not null,
    source bigint not null,
    primary key (owner, kind, time, id, shard)
) partition by list (shard);

create table calotype.timeline_heads (
    shard int not null,
    owner bigint not null,
    kind smallint not null,
    build bigint not null,  -- which attempt to build it this is
    begun bigint not null,
    built boolean not null,  -- everything from the floor on is there
    floor_time bigint not null,
    floor_id bigint not null,
    seen bigint not null,
    primary key (owner, kind, shard)
) partition by list (shard);
create index timeline_heads_seen on calotype.timeline_heads (seen);
