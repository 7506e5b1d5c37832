-- The model registry, and the history of its aliases and stages.
CREATE TABLE registered_models (
    name {text} NOT NULL PRIMARY KEY,
    creation_time_ms {big} NOT NULL,
    last_update_time_ms {big} NOT NULL,
    description {text} NOT NULL
);

CREATE TABLE registered_model_tags (
    name {text} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (name, key)
) {clustered};

-- A deleted version keeps its number and nothing else.
CREATE TABLE model_versions (
    name {text} NOT NULL,
    version {big} NOT NULL,
    creation_time_ms {big} NOT NULL,
    last_update_time_ms {big} NOT NULL,
    source {text} NOT NULL,
    run_id {text},
    run_link {text},
    model_id {text},
    user_id {text},
    description {text} NOT NULL,
    current_stage {text} NOT NULL,
    status {text} NOT NULL,
    status_message {text},
    is_deleted {big} NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE INDEX model_versions_by_run ON model_versions (run_id);
CREATE INDEX model_versions_by_update ON model_versions (last_update_time_ms DESC, name, version DESC);

CREATE TABLE model_version_tags (
    name {text} NOT NULL,
    version {big} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (name, version, key)
) {clustered};

CREATE TABLE model_aliases (
    name {text} NOT NULL,
    alias {text} NOT NULL,
    version {big} NOT NULL,
    PRIMARY KEY (name, alias)
) {clustered};

CREATE TABLE registry_changes (
    change_no {serial},
    name {text} NOT NULL,
    version {big},
    kind {text} NOT NULL,
    alias {text},
    before {text},
    after {text},
    user_id {text},
    timestamp_ms {big} NOT NULL
);
CREATE INDEX registry_changes_by_name ON registry_changes (name, change_no);
