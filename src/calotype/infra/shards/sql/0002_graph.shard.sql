create table {schema}.objects partition of calotype.objects for values in ({shard});
create table {schema}.associations partition of calotype.associations for values in ({shard});
create table {schema}.association_counts partition of calotype.association_counts for values in ({shard}) with (fillfactor = 80);
create table {schema}.claims partition of calotype.claims for values in ({shard});
create table {schema}.outbox partition of calotype.outbox for values in ({shard});

-- A row made by hand in this shard gets its id from the shard's stream.
alter table {schema}.objects alter column id set default {schema}.next_id();
alter table {schema}.outbox alter column id set default {schema}.next_id();
