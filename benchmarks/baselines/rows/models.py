"""One table of objects, one of edges in both directions, one of counters: what the graph does, without shards."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Thing(models.Model):
    id = models.BigIntegerField(primary_key=True)
    otype = models.IntegerField()
    data = models.JSONField()
    version = models.BigIntegerField()
    created = models.BigIntegerField()
    updated = models.BigIntegerField()

    objects: ClassVar[models.Manager[Thing]] = models.Manager()


class Edge(models.Model):
    pk = models.CompositePrimaryKey("id1", "atype", "id2")
    id1 = models.BigIntegerField()
    atype = models.IntegerField()
    id2 = models.BigIntegerField()
    time = models.BigIntegerField()
    version = models.BigIntegerField()
    data = models.JSONField(null=True)

    objects: ClassVar[models.Manager[Edge]] = models.Manager()

    class Meta:
        indexes = (models.Index(fields=("id1", "atype", "-time", "-id2"), name="edge_newest"),)


class Counter(models.Model):
    pk = models.CompositePrimaryKey("id1", "atype")
    id1 = models.BigIntegerField()
    atype = models.IntegerField()
    count = models.BigIntegerField()

    objects: ClassVar[models.Manager[Counter]] = models.Manager()
