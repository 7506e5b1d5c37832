"""The ECR control plane over the directory registry."""
