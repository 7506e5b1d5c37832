"""The GraphQL questions that MLflow's own pages ask, answered from the same handlers as the REST routes."""
