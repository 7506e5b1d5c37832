-- name: by_id
-- One experiment, deleted ones too.
SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms
FROM experiments WHERE experiment_id = :experiment_id;

-- name: by_name
-- One experiment, deleted ones too.
SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms
FROM experiments WHERE name = :name;

-- name: by_ids
-- Several experiments.
SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms
FROM experiments WHERE experiment_id {in ints:ids};

-- name: create
-- A new experiment's number; nothing when the name is taken.
INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms)
VALUES (:name, :artifact_location, 'active', :now_ms, :now_ms)
ON CONFLICT (name) DO NOTHING RETURNING experiment_id;

-- name: create_with_id
-- Stores an experiment whose number is known; nothing when the number or the name is taken.
INSERT INTO experiments
    (experiment_id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms)
VALUES (:experiment_id, :name, :artifact_location, :lifecycle_stage, :creation_time_ms, :last_update_time_ms)
ON CONFLICT DO NOTHING;

-- name: locate
-- Fills in the artifact location, once the number is known.
UPDATE experiments SET artifact_location = :artifact_location WHERE experiment_id = :experiment_id;

-- name: rename
-- Gives an experiment another name.
UPDATE experiments SET name = :name, last_update_time_ms = :now_ms WHERE experiment_id = :experiment_id;

-- name: set_stage
-- Deletes or restores an experiment.
UPDATE experiments SET lifecycle_stage = :stage, last_update_time_ms = :now_ms WHERE experiment_id = :experiment_id;

-- name: delete_runs
-- Deletes the active runs of an experiment with it, marked with its moment.
UPDATE runs SET lifecycle_stage = 'deleted', deleted_time_ms = :now_ms
WHERE experiment_id = :experiment_id AND lifecycle_stage = 'active';

-- name: restore_runs
-- Restores the runs of an experiment with it.
UPDATE runs SET lifecycle_stage = 'active', deleted_time_ms = NULL
WHERE experiment_id = :experiment_id AND lifecycle_stage = 'deleted';

-- name: touch
-- Marks an experiment as changed now.
UPDATE experiments SET last_update_time_ms = :now_ms WHERE experiment_id = :experiment_id;

-- name: tags
-- The tags of several experiments.
SELECT experiment_id, key, value FROM experiment_tags WHERE experiment_id {in ints:ids} ORDER BY experiment_id, key;

-- name: set_tags
-- Sets tags; an existing key gets the new value.
INSERT INTO experiment_tags (experiment_id, key, value) {rows:experiment_id big, key text, value text}
ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tag
-- Removes one tag.
DELETE FROM experiment_tags WHERE experiment_id = :experiment_id AND key = :key;

-- name: advance_numbers
-- PostgreSQL only: after experiments were stored with their numbers, the next new number comes after them.
SELECT setval(pg_get_serial_sequence('experiments', 'experiment_id'), GREATEST((SELECT MAX(experiment_id) FROM experiments), 1));
