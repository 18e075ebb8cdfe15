-- A record once, however often it arrives: rows of one key become one, by and by (FINAL: at once).
CREATE TABLE m365_audit
(
    Record String CODEC(ZSTD(3)),
    CreationTime DateTime MATERIALIZED
        parseDateTimeBestEffortOrZero(JSONExtractString(Record, 'CreationTime')),
    OrganizationId LowCardinality(String) MATERIALIZED JSONExtractString(Record, 'OrganizationId'),
    Workload LowCardinality(String) MATERIALIZED JSONExtractString(Record, 'Workload'),
    Operation LowCardinality(String) MATERIALIZED JSONExtractString(Record, 'Operation'),
    RecordType UInt32 MATERIALIZED JSONExtractUInt(Record, 'RecordType'),
    UserId String MATERIALIZED JSONExtractString(Record, 'UserId'),
    ClientIP String MATERIALIZED JSONExtractString(Record, 'ClientIP'),
    Id String MATERIALIZED JSONExtractString(Record, 'Id')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(CreationTime)
-- The record's own hash: two that share an Id and say different things stay two.
ORDER BY (OrganizationId, Workload, CreationTime, Id, cityHash64(Record));
