"""Application Auto Scaling: scalable targets, policies, activities, and the loop that really changes capacities."""
