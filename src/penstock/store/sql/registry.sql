-- name: create_model
-- A new registered model; nothing when the name is taken.
INSERT INTO registered_models (name, creation_time_ms, last_update_time_ms, description)
VALUES (:name, :creation_time_ms, :last_update_time_ms, :description) ON CONFLICT (name) DO NOTHING;

-- name: model
-- One registered model.
SELECT name, creation_time_ms, last_update_time_ms, description FROM registered_models WHERE name = :name;

-- name: lock_model
-- Marks a registered model as changed now, and makes other writers of its versions wait.
UPDATE registered_models SET last_update_time_ms = :now_ms WHERE name = :name;

-- name: describe_model
-- Changes a registered model's description.
UPDATE registered_models SET description = :description, last_update_time_ms = :now_ms WHERE name = :name;

-- name: delete_model
-- Removes a registered model.
DELETE FROM registered_models WHERE name = :name;

-- name: set_model_tags
-- Sets tags; an existing key gets the new value.
INSERT INTO registered_model_tags (name, key, value) {rows:name text, key text, value text}
ON CONFLICT (name, key) DO UPDATE SET value = excluded.value;

-- name: delete_model_tag
-- Removes one tag.
DELETE FROM registered_model_tags WHERE name = :name AND key = :key;

-- name: model_tags
-- The tags of several registered models.
SELECT name, key, value FROM registered_model_tags WHERE name {in texts:names} ORDER BY name, key;

-- name: aliases
-- The aliases of several registered models.
SELECT name, alias, version FROM model_aliases WHERE name {in texts:names} ORDER BY name, alias;

-- name: latest
-- The newest version of each stage of several registered models.
SELECT m.name, m.version, m.creation_time_ms, m.last_update_time_ms, m.source, m.run_id, m.run_link, m.model_id,
    m.user_id, m.description, m.current_stage, m.status, m.status_message
FROM model_versions m JOIN (
    SELECT name, current_stage, MAX(version) AS version FROM model_versions
    WHERE name {in texts:names} AND is_deleted = 0 GROUP BY name, current_stage
) newest ON newest.name = m.name AND newest.version = m.version
ORDER BY m.name, m.version;

-- name: next_version
-- The number after the highest, deleted versions included.
SELECT COALESCE(MAX(version), 0) + 1 FROM model_versions WHERE name = :name;

-- name: create_version
-- A new version.
INSERT INTO model_versions (name, version, creation_time_ms, last_update_time_ms, source, run_id, run_link, model_id,
    user_id, description, current_stage, status, status_message, is_deleted)
VALUES (:name, :version, :creation_time_ms, :last_update_time_ms, :source, :run_id, :run_link, :model_id,
    :user_id, :description, :current_stage, :status, :status_message, 0)
ON CONFLICT (name, version) DO NOTHING;

-- name: version
-- One version that is not deleted.
SELECT name, version, creation_time_ms, last_update_time_ms, source, run_id, run_link, model_id, user_id, description,
    current_stage, status, status_message
FROM model_versions WHERE name = :name AND version = :version AND is_deleted = 0;

-- name: versions
-- Every version of a registered model that is not deleted.
SELECT name, version, creation_time_ms, last_update_time_ms, source, run_id, run_link, model_id, user_id, description,
    current_stage, status, status_message
FROM model_versions WHERE name = :name AND is_deleted = 0 ORDER BY version;

-- name: describe_version
-- Changes a version's description.
UPDATE model_versions SET description = :description, last_update_time_ms = :now_ms
WHERE name = :name AND version = :version;

-- name: set_stage
-- Moves a version to a stage.
UPDATE model_versions SET current_stage = :stage, last_update_time_ms = :now_ms
WHERE name = :name AND version = :version;

-- name: redact_version
-- Deletes a version: its number stays taken, what it said is gone.
UPDATE model_versions SET is_deleted = 1, source = '', run_id = NULL, run_link = NULL, model_id = NULL,
    user_id = NULL, description = '', current_stage = 'None', status_message = NULL, last_update_time_ms = :now_ms
WHERE name = :name AND version = :version;

-- name: delete_version_tags
-- Removes every tag of a version.
DELETE FROM model_version_tags WHERE name = :name AND version = :version;

-- name: set_version_tags
-- Sets tags; an existing key gets the new value.
INSERT INTO model_version_tags (name, version, key, value) {rows:name text, version big, key text, value text}
ON CONFLICT (name, version, key) DO UPDATE SET value = excluded.value;

-- name: delete_version_tag
-- Removes one tag.
DELETE FROM model_version_tags WHERE name = :name AND version = :version AND key = :key;

-- name: version_tags
-- The tags of every version of several registered models.
SELECT name, version, key, value FROM model_version_tags WHERE name {in texts:names} ORDER BY name, version, key;

-- name: alias
-- The version an alias stands for.
SELECT version FROM model_aliases WHERE name = :name AND alias = :alias;

-- name: set_alias
-- Points an alias at a version.
INSERT INTO model_aliases (name, alias, version) VALUES (:name, :alias, :version)
ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version;

-- name: delete_alias
-- Removes an alias.
DELETE FROM model_aliases WHERE name = :name AND alias = :alias;

-- name: highest
-- The highest version that is not deleted.
SELECT MAX(version) FROM model_versions WHERE name = :name AND is_deleted = 0;

-- name: record
-- Writes a line of history.
INSERT INTO registry_changes (name, version, kind, alias, before, after, user_id, timestamp_ms)
VALUES (:name, :version, :kind, :alias, :before, :after, :user_id, :timestamp_ms);

-- name: history
-- A registered model's history, oldest first.
SELECT name, version, kind, alias, before, after, user_id, timestamp_ms FROM registry_changes
WHERE name = :name ORDER BY change_no;
