-- name: runs
-- Deleted runs, with how many rows each takes.
SELECT r.run_no, r.run_id, r.experiment_id, r.artifact_uri,
    1 + (SELECT COUNT(*) FROM params p WHERE p.run_no = r.run_no)
      + (SELECT COUNT(*) FROM tags t WHERE t.run_no = r.run_no)
      + (SELECT COUNT(*) FROM metrics m WHERE m.run_no = r.run_no)
      + (SELECT COUNT(*) FROM latest_metrics l WHERE l.run_no = r.run_no)
      + (SELECT COUNT(*) FROM run_datasets d WHERE d.run_no = r.run_no)
      + (SELECT COUNT(*) FROM run_models o WHERE o.run_no = r.run_no)
FROM runs r WHERE r.lifecycle_stage = 'deleted' AND COALESCE(r.deleted_time_ms, 0) <= :before_ms
ORDER BY r.run_no;

-- name: models
-- Deleted logged models, with how many rows each takes.
SELECT g.model_id, g.experiment_id, g.artifact_uri,
    1 + (SELECT COUNT(*) FROM logged_model_params p WHERE p.model_id = g.model_id)
      + (SELECT COUNT(*) FROM logged_model_tags t WHERE t.model_id = g.model_id)
      + (SELECT COUNT(*) FROM logged_model_metrics m WHERE m.model_id = g.model_id)
FROM logged_models g WHERE g.lifecycle_stage = 'deleted' AND COALESCE(g.deleted_time_ms, 0) <= :before_ms
ORDER BY g.model_id;

-- name: experiments
-- Deleted experiments in which nothing active is left, with how many rows each takes.
SELECT e.experiment_id, e.name,
    1 + (SELECT COUNT(*) FROM experiment_tags t WHERE t.experiment_id = e.experiment_id)
      + (SELECT COUNT(*) FROM datasets d WHERE d.experiment_id = e.experiment_id)
FROM experiments e WHERE e.lifecycle_stage = 'deleted' AND e.last_update_time_ms <= :before_ms
ORDER BY e.experiment_id;

-- name: registered_runs
-- The live model versions whose files lie among a deleted run's artifacts.
SELECT r.run_id, v.name, v.version FROM runs r
JOIN model_versions v ON v.run_id = r.run_id AND v.is_deleted = 0
WHERE r.lifecycle_stage = 'deleted' AND (v.source LIKE 'runs:/%' OR substr(v.source, 1, length(r.artifact_uri)) = r.artifact_uri);

-- name: registered_models
-- The live model versions whose files are a deleted logged model's.
SELECT g.model_id, v.name, v.version FROM logged_models g
JOIN model_versions v ON v.model_id = g.model_id AND v.is_deleted = 0
WHERE g.lifecycle_stage = 'deleted';

-- name: still_holding
-- How much an experiment still holds.
SELECT (SELECT COUNT(*) FROM runs r WHERE r.experiment_id = :experiment_id)
     + (SELECT COUNT(*) FROM logged_models g WHERE g.experiment_id = :experiment_id);
