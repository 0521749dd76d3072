-- One id stream a logical shard, shared by all its tables.
create sequence {schema}.ids;

-- `next_id()` without an argument is this shard's, usable as a column default of any table of the schema.
create function {schema}.next_id() returns bigint language sql volatile as $$ select calotype.next_id({shard}) $$;
