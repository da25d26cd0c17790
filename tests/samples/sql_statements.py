"""What ``gr2st sql`` must refuse, and what it must stop: for the tests, and for the benchmark of its limits.

Braces name what a caller knows: ``lake``, a ``file`` that the catalogue shows, one that it does not (``hidden``), the
``catalog``, a file ``outside``, a ``link`` in the lake to it, a sibling ``evil`` whose name starts like the lake's.
"""

WRITES = """
COPY (SELECT 1) TO '{lake}/new.parquet'
COPY (SELECT 1) TO '{file}'
COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)
COPY (SELECT 1) TO '{outside}'
COPY (SELECT 1) TO '/dev/stdout'
COPY slides TO '{lake}/by' (FORMAT parquet, PARTITION_BY (cohort))
COPY manifest_files FROM '{outside}'
COPY FROM DATABASE lake TO memory
WITH x AS (COPY (SELECT 1) TO '{file}') SELECT * FROM x
WITH x AS (COPY (SELECT 1) TO '{lake}/new.csv') SELECT * FROM x
WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x
WITH x AS MATERIALIZED (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1
SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x)
WITH x AS (INSERT INTO manifest_files VALUES ('a', 'b') RETURNING *) SELECT * FROM x
WITH x AS (DELETE FROM manifest_files RETURNING *) SELECT * FROM x
SELECT 1; COPY (SELECT 1) TO '{lake}/new.csv'
SELECT 1; SELECT 2
EXPORT DATABASE '{lake}/dump'
ATTACH '{lake}/new.duckdb'
ATTACH '{catalog}' AS again
ATTACH '{catalog}' AS again (READ_ONLY)
ATTACH ':memory:' AS other
DETACH lake
CREATE TABLE t (a INT)
CREATE TABLE memory.main.t (a INT)
CREATE TEMP TABLE t AS SELECT 1
CREATE VIEW v AS SELECT 1
CREATE OR REPLACE VIEW slides AS SELECT 1
CREATE MACRO m(a) AS a
CREATE SCHEMA s
CREATE SEQUENCE s
CREATE TYPE t AS ENUM ('a')
CREATE SECRET s (TYPE s3)
CREATE PERSISTENT SECRET s (TYPE s3)
DROP SECRET s
INSERT INTO manifest_files VALUES ('a', 'b')
UPDATE manifest_files SET path = 'x'
DELETE FROM manifest_files
MERGE INTO manifest_files USING slides ON false WHEN NOT MATCHED THEN INSERT VALUES ('a', 'b')
DROP VIEW slides
ALTER TABLE manifest_files RENAME TO x
TRUNCATE manifest_files
INSTALL httpfs
FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'
LOAD httpfs
LOAD '{lake}/x.duckdb_extension'
UPDATE EXTENSIONS
SET memory_limit = '1TB'
SET enable_external_access = true
SET lock_configuration = false
SET GLOBAL threads = 64
SET allowed_paths = ['{outside}']
SET python_enable_replacements = true
SET temp_directory = '{lake}'
RESET memory_limit
RESET ALL
SET VARIABLE x = 1
PRAGMA enable_profiling
PRAGMA database_list
PRAGMA memory_limit = '1TB'
CALL pragma_version()
CALL enable_logging()
USE memory
CHECKPOINT
FORCE CHECKPOINT
VACUUM
ANALYZE
BEGIN
PREPARE p AS SELECT 1
EXECUTE p
EXPLAIN SELECT 1
EXPLAIN ANALYZE SELECT 1
IMPORT DATABASE '{lake}'
COMMENT ON VIEW slides IS 'x'
SELECT * FROM checkpoint('lake')
SELECT * FROM enable_logging()
SELECT * FROM truncate_duckdb_logs()
SELECT * FROM register_external_resource('a', 'b')
""".strip().splitlines()

READS = """
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_csv('/etc/passwd', delim=':')
SELECT * FROM '/etc/passwd'
SELECT * FROM read_text('/proc/self/environ')
SELECT * FROM read_csv('/proc/self/environ')
SELECT * FROM read_csv('/proc/self/fd/0')
SELECT * FROM READ_TEXT('{catalog}')
SELECT * FROM "read_blob"('{catalog}')
SELECT * FROM system.main.read_text('{catalog}')
SELECT * FROM read_duckdb('{catalog}')
SELECT * FROM read_csv('{outside}')
SELECT * FROM sniff_csv('{outside}')
SELECT * FROM '{outside}'
SELECT * FROM read_csv('file://{outside}')
SELECT * FROM read_csv('{lake}/../secret.csv')
SELECT * FROM read_csv('{link}')
SELECT * FROM read_parquet('{evil}/data.parquet')
SELECT * FROM read_parquet('{file}/../../../../../lake_evil/data.parquet')
SELECT * FROM read_json_auto('{outside}')
SELECT * FROM glob('{lake}/**')
SELECT * FROM glob('/etc/*')
SELECT * FROM read_parquet('{lake}/**/*.parquet')
SELECT * FROM read_parquet('{hidden}')
SELECT * FROM read_parquet(['{file}', '{hidden}'])
SELECT * FROM parquet_metadata('{hidden}')
SELECT * FROM parquet_kv_metadata('{hidden}')
SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')
SELECT * FROM read_parquet('s3://bucket/x.parquet')
SELECT * FROM 'http://127.0.0.1:9/x.csv'
SELECT * FROM query('SELECT 1')
SELECT * FROM query('SELECT * FROM read_text(''/etc/pass' || 'wd'')')
SELECT * FROM query_table('slides')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
SELECT * FROM arrow_scan(1, 2, 3)
SELECT * FROM pandas_scan(1)
SELECT * FROM seq_scan('slides')
SELECT sleep_ms(1)
SELECT write_log('x')
SELECT (SELECT count(*) FROM read_text('/etc/passwd'))
SELECT 1 WHERE EXISTS (FROM glob('/*'))
SELECT * FROM (VALUES (1)) t(a), LATERAL (FROM read_text('/etc/passwd'))
WITH x AS MATERIALIZED (SELECT * FROM read_blob('/etc/passwd')) SELECT * FROM x
SELECT 1 UNION ALL SELECT size FROM read_text('/etc/passwd')
SELECT getenv('HOME')
SELECT * FROM python_variable
FROM duckdb_secrets()
""".strip().splitlines()

BOMBS = {
    "cross join": "SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE a.range % 7 = b.range % 11",
    "sort": "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY hash(range)) r FROM range(1000000000))",
    "list": "SELECT len(list(range)) FROM range(1000000000)",
    "recursion": "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT (a + 1) % 9 FROM r) SELECT count(*) FROM r",
    "sleep": "SELECT sleep_ms(10000)",
    "levenshtein": "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "format": "SELECT length(format('{:>1000000000}', 'x'))",
    "in list": f"SELECT 1 IN ({','.join(map(str, range(1_000_000)))})",
    "repeat": "SELECT length(repeat('x', 2000000000) || lpad('x', 1000000000, 'y'))",
    "regexp": "SELECT length(regexp_replace(repeat('a', 50000000), '(a)', '\\1bbbbbbbbbbbbbbbbbbbb', 'g'))",
    "answer": "SELECT repeat('x', 1000000) FROM range(10000)",
}
"""Queries that take all the time or memory that they get, or would answer with more than anyone reads."""
