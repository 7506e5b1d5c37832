"""SageMaker hosting's nouns: models, endpoint configs, endpoints, tags, and the endpoint's state machine."""
