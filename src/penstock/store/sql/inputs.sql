-- name: datasets_of_runs
-- The datasets that several runs read, in the order they were logged.
SELECT i.run_no, d.name, d.digest, d.source_type, d.source, d.dataset_schema, d.profile, i.tags
FROM run_datasets i JOIN datasets d ON d.dataset_no = i.dataset_no
WHERE i.run_no {in ints:run_nos} ORDER BY i.run_no, i.position, i.dataset_no;

-- name: models_of_runs
-- The logged models that several runs read or made.
SELECT run_no, direction, model_id, step FROM run_models WHERE run_no {in ints:run_nos}
ORDER BY run_no, direction, step, model_id;

-- name: ensure_dataset
-- Stores a dataset unless the experiment knows it.
INSERT INTO datasets (experiment_id, name, digest, source_type, source, dataset_schema, profile)
VALUES (:experiment_id, :name, :digest, :source_type, :source, :dataset_schema, :profile)
ON CONFLICT (experiment_id, name, digest) DO NOTHING;

-- name: dataset_number
-- A dataset's number.
SELECT dataset_no FROM datasets WHERE experiment_id = :experiment_id AND name = :name AND digest = :digest;

-- name: add_dataset
-- Links a dataset to a run; once is enough.
INSERT INTO run_datasets (run_no, dataset_no, position, context, tags)
VALUES (:run_no, :dataset_no, (SELECT COUNT(*) FROM run_datasets WHERE run_no = :run_no), :context, :tags)
ON CONFLICT (run_no, dataset_no) DO NOTHING;

-- name: add_models
-- Links logged models to runs.
INSERT INTO run_models (run_no, direction, model_id, step) {rows:run_no big, direction text, model_id text, step big}
ON CONFLICT (run_no, direction, model_id) DO UPDATE SET step = excluded.step;

-- name: known_datasets
-- The datasets of several experiments, one line for each context they were used in.
SELECT DISTINCT d.experiment_id, d.name, d.digest, i.context
FROM datasets d LEFT JOIN run_datasets i ON i.dataset_no = d.dataset_no
WHERE d.experiment_id {in ints:experiment_ids}
ORDER BY d.experiment_id, d.name, d.digest, i.context LIMIT :page_limit;
