-- What the cache of each region must hear of, by the commit log: which rows changed, never what is in them. Rows of a
-- logical shard's tables arrive under the name of the parent. Nothing is written differently because of it.
do $$
begin
    if not exists (select from pg_publication where pubname = 'calotype') then
        create publication calotype for table
            calotype.objects (shard, id, version),
            calotype.associations (shard, id1, atype, id2, version),
            calotype.association_counts (shard, id1, atype, version)
            with (publish_via_partition_root = true);
    end if;
end $$;
