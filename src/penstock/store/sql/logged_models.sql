-- name: create
-- A new logged model; nothing when the id is taken.
INSERT INTO logged_models (model_id, experiment_id, name, artifact_uri, creation_time_ms, last_update_time_ms,
    model_type, source_run_id, status, status_message, lifecycle_stage, deleted_time_ms)
VALUES (:model_id, :experiment_id, :name, :artifact_uri, :creation_time_ms, :last_update_time_ms,
    :model_type, :source_run_id, :status, :status_message, 'active', NULL)
ON CONFLICT (model_id) DO NOTHING;

-- name: by_id
-- One logged model that is not deleted.
SELECT model_id, experiment_id, name, artifact_uri, creation_time_ms, last_update_time_ms, model_type, source_run_id,
    status, status_message
FROM logged_models WHERE model_id = :model_id AND lifecycle_stage = 'active';

-- name: set_status
-- Moves a logged model on.
UPDATE logged_models SET status = :status, status_message = :status_message, last_update_time_ms = :now_ms
WHERE model_id = :model_id;

-- name: touch
-- Marks a logged model as changed now.
UPDATE logged_models SET last_update_time_ms = :now_ms WHERE model_id = :model_id;

-- name: delete
-- Marks a logged model as deleted.
UPDATE logged_models SET lifecycle_stage = 'deleted', deleted_time_ms = :now_ms, last_update_time_ms = :now_ms
WHERE model_id = :model_id;

-- name: set_tags
-- Sets tags; an existing key gets the new value.
INSERT INTO logged_model_tags (model_id, key, value) {rows:model_id text, key text, value text}
ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tag
-- Removes one tag.
DELETE FROM logged_model_tags WHERE model_id = :model_id AND key = :key;

-- name: set_params
-- Sets params; an existing key gets the new value.
INSERT INTO logged_model_params (model_id, key, value) {rows:model_id text, key text, value text}
ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value;

-- name: tags
-- The tags of several logged models.
SELECT model_id, key, value FROM logged_model_tags WHERE model_id {in texts:model_ids} ORDER BY model_id, key;

-- name: params
-- The params of several logged models.
SELECT model_id, key, value FROM logged_model_params WHERE model_id {in texts:model_ids} ORDER BY model_id, key;

-- name: metrics
-- The points of several logged models.
SELECT model_id, key, value, is_nan, timestamp_ms, step, dataset_name, dataset_digest, run_id
FROM logged_model_metrics WHERE model_id {in texts:model_ids}
ORDER BY model_id, key, dataset_name, dataset_digest, timestamp_ms, step, run_id;
