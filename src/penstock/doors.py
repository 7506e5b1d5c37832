"""The table of public names and the room that defines each: the lazy front door reads it and nothing else."""

from __future__ import annotations

_TRACKING = "penstock.api.tracking"
_MODELS = "penstock.api.models"
_MODELS_FLAVORS = "penstock.api.models_flavors"
_RUNNING = "penstock.api.running"
_ACTIVE = "penstock.api.active"
_RUN_FILES = "penstock.api.run_files"
_SEARCHING = "penstock.api.searching"
_REGISTERING = "penstock.api.registering"
_DOWNLOADS = "penstock.api.downloads"

DOORS: dict[str, str] = {
    "PenstockError": "penstock.ground.errors",
    "set_tracking_uri": _TRACKING,
    "get_tracking_uri": _TRACKING,
    "is_tracking_uri_set": _TRACKING,
    "set_registry_uri": _TRACKING,
    "get_registry_uri": _TRACKING,
    "set_experiment": _TRACKING,
    "log_param": _TRACKING,
    "log_params": _TRACKING,
    "log_metric": _TRACKING,
    "log_metrics": _TRACKING,
    "set_tag": _TRACKING,
    "set_tags": _TRACKING,
    "delete_tag": _TRACKING,
    "log_input": _TRACKING,
    "log_inputs": _TRACKING,
    "flush": _TRACKING,
    "start_run": _RUNNING,
    "active_run": _RUNNING,
    "last_active_run": _RUNNING,
    "end_run": _ACTIVE,
    "ActiveRun": _ACTIVE,
    "log_artifact": _RUN_FILES,
    "log_artifacts": _RUN_FILES,
    "log_text": _RUN_FILES,
    "log_dict": _RUN_FILES,
    "log_figure": _RUN_FILES,
    "log_image": _RUN_FILES,
    "log_table": _RUN_FILES,
    "log_stream": _RUN_FILES,
    "get_artifact_uri": _RUN_FILES,
    "create_experiment": _SEARCHING,
    "get_experiment": _SEARCHING,
    "get_experiment_by_name": _SEARCHING,
    "delete_experiment": _SEARCHING,
    "set_experiment_tag": _SEARCHING,
    "set_experiment_tags": _SEARCHING,
    "search_experiments": _SEARCHING,
    "get_run": _SEARCHING,
    "get_parent_run": _SEARCHING,
    "delete_run": _SEARCHING,
    "search_runs": _SEARCHING,
    "register_model": _REGISTERING,
    "set_model_version_tag": _REGISTERING,
    "set_registered_model_alias": _REGISTERING,
    "search_registered_models": _REGISTERING,
    "search_model_versions": _REGISTERING,
    "download_artifacts": _DOWNLOADS,
    "list_artifacts": _DOWNLOADS,
    "load_text": _DOWNLOADS,
    "load_dict": _DOWNLOADS,
    "MlflowClient": "penstock.api.client",
    "data": "penstock.api.data",
    "resolve_model": "penstock.api.resolve",
    "log_model": _MODELS,
    "save_model": _MODELS,
    "load_model": _MODELS,
    "infer_signature": _MODELS,
    "optimize_model": _MODELS,
    "sklearn": _MODELS_FLAVORS,
    "xgboost": _MODELS_FLAVORS,
    "lightgbm": _MODELS_FLAVORS,
    "onnx": _MODELS_FLAVORS,
    "pytorch": _MODELS_FLAVORS,
    "pyfunc": _MODELS_FLAVORS,
}
