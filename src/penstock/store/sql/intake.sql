-- name: namesakes
-- The experiments that have this number or this name.
SELECT experiment_id, name FROM experiments WHERE experiment_id = :experiment_id OR name = :name;

-- name: drop_empty_default
-- Makes room for another store's experiment 0, if ours holds no runs.
DELETE FROM experiments WHERE experiment_id = :experiment_id AND name = :name
    AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = experiments.experiment_id);

-- name: update_experiment
-- Brings an experiment up to date with where it came from.
UPDATE experiments SET artifact_location = :artifact_location, lifecycle_stage = :lifecycle_stage,
    creation_time_ms = :creation_time_ms, last_update_time_ms = :last_update_time_ms
WHERE experiment_id = :experiment_id AND name = :name;

-- name: raise_experiment_serial
-- PostgreSQL: the next new experiment comes after those taken in.
SELECT setval(pg_get_serial_sequence('experiments', 'experiment_id'), GREATEST(1, (SELECT MAX(experiment_id) FROM experiments)));

-- name: update_run
-- Brings a run up to date with where it came from.
UPDATE runs SET run_name = :run_name, user_id = :user_id, status = :status, start_time_ms = :start_time_ms,
    end_time_ms = :end_time_ms, artifact_uri = :artifact_uri
WHERE run_id = :run_id;

-- name: set_run_stage
-- Deletes or restores a run, with the moment it was deleted where it came from.
UPDATE runs SET lifecycle_stage = :stage, deleted_time_ms = :deleted_time_ms WHERE run_id = :run_id;

-- name: drop_logged_model
-- Removes a logged model, to be put again.
DELETE FROM logged_models WHERE model_id = :model_id;

-- name: set_model_stage
-- Deletes or restores a logged model.
UPDATE logged_models SET lifecycle_stage = :stage WHERE model_id = :model_id;

-- name: update_model
-- Brings a registered model up to date with where it came from.
UPDATE registered_models SET creation_time_ms = :creation_time_ms, last_update_time_ms = :last_update_time_ms,
    description = :description
WHERE name = :name;

-- name: drop_version
-- Removes a version, to be put again.
DELETE FROM model_versions WHERE name = :name AND version = :version;
