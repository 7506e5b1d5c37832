-- Experiments, runs and what runs log.
-- Rows of one run lie together (clustered); experiment_id is repeated beside every value that a search filters or
-- orders by, so that a search walks an index of its own experiments and nothing else. A text is indexed by its
-- head, its first 64 characters: PostgreSQL refuses index entries over 2704 bytes. (A generated column would say so by
-- itself, but SQLite does not answer from an index over one without reading the row too.)
CREATE TABLE experiments (
    experiment_id {serial},
    name {text} NOT NULL UNIQUE,
    artifact_location {text} NOT NULL,
    lifecycle_stage {text} NOT NULL,
    creation_time_ms {big} NOT NULL,
    last_update_time_ms {big} NOT NULL
);
CREATE INDEX experiments_by_creation ON experiments (creation_time_ms DESC, experiment_id);

CREATE TABLE experiment_tags (
    experiment_id {big} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (experiment_id, key)
) {clustered};

CREATE TABLE runs (
    run_no {serial},
    run_id {text} NOT NULL UNIQUE,
    experiment_id {big} NOT NULL,
    run_name {text} NOT NULL,
    user_id {text} NOT NULL,
    status {text} NOT NULL,
    start_time_ms {big} NOT NULL,
    end_time_ms {big},
    lifecycle_stage {text} NOT NULL,
    deleted_time_ms {big},
    artifact_uri {text} NOT NULL
);
CREATE INDEX runs_by_start ON runs (experiment_id, lifecycle_stage, start_time_ms DESC, run_id);

CREATE TABLE params (
    run_no {big} NOT NULL,
    key {text} NOT NULL,
    experiment_id {big} NOT NULL,
    value {text} NOT NULL,
    head {text} NOT NULL,
    PRIMARY KEY (run_no, key)
) {clustered};
CREATE INDEX params_by_value ON params (experiment_id, key, head, run_no);

CREATE TABLE tags (
    run_no {big} NOT NULL,
    key {text} NOT NULL,
    experiment_id {big} NOT NULL,
    value {text} NOT NULL,
    head {text} NOT NULL,
    PRIMARY KEY (run_no, key)
) {clustered};
CREATE INDEX tags_by_value ON tags (experiment_id, key, head, run_no);

-- Every point. A NaN is value 0 with is_nan 1; infinities are stored as they are.
CREATE TABLE metrics (
    run_no {big} NOT NULL,
    key {text} NOT NULL,
    timestamp_ms {big} NOT NULL,
    step {big} NOT NULL,
    value {real} NOT NULL,
    is_nan {big} NOT NULL,
    PRIMARY KEY (run_no, key, timestamp_ms, step, value, is_nan)
) {clustered};

-- The point with the greatest (step, timestamp, value) of each metric of each run.
CREATE TABLE latest_metrics (
    run_no {big} NOT NULL,
    key {text} NOT NULL,
    experiment_id {big} NOT NULL,
    value {real} NOT NULL,
    is_nan {big} NOT NULL,
    step {big} NOT NULL,
    timestamp_ms {big} NOT NULL,
    PRIMARY KEY (run_no, key)
) {clustered};
CREATE INDEX latest_metrics_by_value ON latest_metrics (experiment_id, key, is_nan, value, run_no);

CREATE TABLE datasets (
    dataset_no {serial},
    experiment_id {big} NOT NULL,
    name {text} NOT NULL,
    digest {text} NOT NULL,
    source_type {text} NOT NULL,
    source {text} NOT NULL,
    dataset_schema {text},
    profile {text},
    UNIQUE (experiment_id, name, digest)
);

CREATE TABLE run_datasets (
    run_no {big} NOT NULL,
    dataset_no {big} NOT NULL,
    position {big} NOT NULL,
    context {text},
    tags {text} NOT NULL,
    PRIMARY KEY (run_no, dataset_no)
) {clustered};
CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset_no, run_no);

-- Logged models that a run read (direction 'input') or made (direction 'output').
CREATE TABLE run_models (
    run_no {big} NOT NULL,
    direction {text} NOT NULL,
    model_id {text} NOT NULL,
    step {big} NOT NULL,
    PRIMARY KEY (run_no, direction, model_id)
) {clustered};

CREATE TABLE logged_models (
    model_id {text} NOT NULL PRIMARY KEY,
    experiment_id {big} NOT NULL,
    name {text} NOT NULL,
    artifact_uri {text} NOT NULL,
    creation_time_ms {big} NOT NULL,
    last_update_time_ms {big} NOT NULL,
    model_type {text},
    source_run_id {text},
    status {text} NOT NULL,
    status_message {text},
    lifecycle_stage {text} NOT NULL,
    deleted_time_ms {big}
);
CREATE INDEX logged_models_by_creation ON logged_models (experiment_id, creation_time_ms DESC, model_id);
CREATE INDEX logged_models_by_run ON logged_models (source_run_id);

CREATE TABLE logged_model_params (
    model_id {text} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (model_id, key)
) {clustered};

CREATE TABLE logged_model_tags (
    model_id {text} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (model_id, key)
) {clustered};

CREATE TABLE logged_model_metrics (
    model_id {text} NOT NULL,
    key {text} NOT NULL,
    dataset_name {text} NOT NULL,
    dataset_digest {text} NOT NULL,
    timestamp_ms {big} NOT NULL,
    step {big} NOT NULL,
    value {real} NOT NULL,
    is_nan {big} NOT NULL,
    run_id {text} NOT NULL,
    PRIMARY KEY (model_id, key, dataset_name, dataset_digest, timestamp_ms, step, run_id)
) {clustered};
