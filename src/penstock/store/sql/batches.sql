-- name: known_params
-- The values that runs have for some keys.
SELECT run_no, key, value FROM params WHERE run_no {in ints:run_nos} AND key {in texts:keys};

-- name: add_params
-- Stores params that were not there.
INSERT INTO params (run_no, key, experiment_id, value, head)
{rows:run_no big, key text, experiment_id big, value text, head text}
ON CONFLICT (run_no, key) DO NOTHING;

-- name: set_tags
-- Sets tags; an existing key gets the new value.
INSERT INTO tags (run_no, key, experiment_id, value, head)
{rows:run_no big, key text, experiment_id big, value text, head text}
ON CONFLICT (run_no, key) DO UPDATE SET value = excluded.value, head = excluded.head;

-- name: add_points
-- Stores points; one that is there already is left alone.
INSERT INTO metrics (run_no, key, timestamp_ms, step, value, is_nan)
{rows:run_no big, key text, timestamp_ms big, step big, value real, is_nan big}
ON CONFLICT DO NOTHING;

-- name: raise_latest
-- Moves the latest point of metrics forward, never back.
INSERT INTO latest_metrics (run_no, key, experiment_id, value, is_nan, step, timestamp_ms)
{rows:run_no big, key text, experiment_id big, value real, is_nan big, step big, timestamp_ms big}
ON CONFLICT (run_no, key) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan, step = excluded.step,
    timestamp_ms = excluded.timestamp_ms
WHERE (excluded.step, excluded.timestamp_ms, 1 - excluded.is_nan, excluded.value)
    > (latest_metrics.step, latest_metrics.timestamp_ms, 1 - latest_metrics.is_nan, latest_metrics.value);

-- name: put_points
-- PostgreSQL only: what add_points and raise_latest do for the runs that are active, in one statement and so in one trip
-- to the server and back, where a transaction takes five; gives each run's stage. The points come as JSON, for a driver
-- that writes twelve arrays one by one is slower than PostgreSQL reading two texts.
WITH stored AS (
    INSERT INTO metrics (run_no, key, timestamp_ms, step, value, is_nan)
    SELECT r.run_no, p.key, p.timestamp_ms, p.step, p.value, p.is_nan
    FROM json_to_recordset(CAST(:points AS json))
        AS p (run_id text, key text, timestamp_ms bigint, step bigint, value double precision, is_nan bigint)
    JOIN runs r ON r.run_id = p.run_id AND r.lifecycle_stage = 'active'
    ON CONFLICT DO NOTHING
), raised AS (
    INSERT INTO latest_metrics (run_no, key, experiment_id, value, is_nan, step, timestamp_ms)
    SELECT r.run_no, l.key, r.experiment_id, l.value, l.is_nan, l.step, l.timestamp_ms
    FROM json_to_recordset(CAST(:latest AS json))
        AS l (run_id text, key text, timestamp_ms bigint, step bigint, value double precision, is_nan bigint)
    JOIN runs r ON r.run_id = l.run_id AND r.lifecycle_stage = 'active'
    ON CONFLICT (run_no, key) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan, step = excluded.step,
        timestamp_ms = excluded.timestamp_ms
    WHERE (excluded.step, excluded.timestamp_ms, 1 - excluded.is_nan, excluded.value)
        > (latest_metrics.step, latest_metrics.timestamp_ms, 1 - latest_metrics.is_nan, latest_metrics.value)
)
SELECT run_id, run_no, experiment_id, lifecycle_stage FROM runs WHERE run_id {in texts:run_ids};

-- name: add_model_points
-- Stores points of logged models; the same moment again gets the new value.
INSERT INTO logged_model_metrics (model_id, key, dataset_name, dataset_digest, timestamp_ms, step, value, is_nan, run_id)
{rows:model_id text, key text, dataset_name text, dataset_digest text, timestamp_ms big, step big, value real, is_nan big, run_id text}
ON CONFLICT (model_id, key, dataset_name, dataset_digest, timestamp_ms, step, run_id)
DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan;

-- name: known_models
-- Which of some logged models exist.
SELECT model_id FROM logged_models WHERE model_id {in texts:model_ids};
