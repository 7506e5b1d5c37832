"""A tracking store and a model registry behind MLflow's REST wire: our server, or a stock one."""
