-- name: by_id
-- One run with its number, deleted ones too.
SELECT run_no, run_id, run_name, experiment_id, user_id, status, start_time_ms, end_time_ms, artifact_uri,
    lifecycle_stage
FROM runs WHERE run_id = :run_id;

-- name: heads
-- What a write must know of several runs.
SELECT run_id, run_no, experiment_id, lifecycle_stage FROM runs WHERE run_id {in texts:run_ids};

-- name: create
-- A new run's number; nothing when the id is taken.
INSERT INTO runs (run_id, experiment_id, run_name, user_id, status, start_time_ms, end_time_ms, lifecycle_stage,
    deleted_time_ms, artifact_uri)
VALUES (:run_id, :experiment_id, :run_name, :user_id, :status, :start_time_ms, :end_time_ms, :lifecycle_stage,
    :deleted_time_ms, :artifact_uri)
ON CONFLICT (run_id) DO NOTHING RETURNING run_no;

-- name: update
-- Changes the fields that are given.
UPDATE runs SET status = COALESCE(:status, status), run_name = COALESCE(:run_name, run_name),
    end_time_ms = COALESCE(:end_time_ms, end_time_ms)
WHERE run_no = :run_no;

-- name: set_stage
-- Deletes or restores a run.
UPDATE runs SET lifecycle_stage = :stage, deleted_time_ms = :deleted_time_ms WHERE run_no = :run_no;

-- name: logged
-- What several runs logged, in one go: the latest point of every metric (part 0), params (1), tags (2), and whether
-- they are linked to datasets (3) or logged models (4).
SELECT 0 AS part, run_no, key, value AS number, is_nan, timestamp_ms, step, '' AS content
FROM latest_metrics WHERE run_no {in ints:run_nos}
UNION ALL SELECT 1, run_no, key, CAST(0 AS {real}), 0, 0, 0, value FROM params WHERE run_no {in ints:run_nos}
UNION ALL SELECT 2, run_no, key, CAST(0 AS {real}), 0, 0, 0, value FROM tags WHERE run_no {in ints:run_nos}
UNION ALL SELECT 3, run_no, '', CAST(0 AS {real}), 0, 0, 0, '' FROM run_datasets WHERE run_no {in ints:run_nos}
UNION ALL SELECT 4, run_no, '', CAST(0 AS {real}), 0, 0, 0, '' FROM run_models WHERE run_no {in ints:run_nos}
ORDER BY 1, 2, 3;

-- name: delete_tag
-- Removes one tag.
DELETE FROM tags WHERE run_no = :run_no AND key = :key;

-- name: rename
-- Gives runs other names: the last tag mlflow.runName of each.
UPDATE runs SET run_name = :run_name WHERE run_no = :run_no;
