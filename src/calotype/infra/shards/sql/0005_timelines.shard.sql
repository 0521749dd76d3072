create table {schema}.timelines partition of calotype.timelines for values in ({shard});
create table {schema}.timeline_heads partition of calotype.timeline_heads for values in ({shard}) with (fillfactor = 80);
