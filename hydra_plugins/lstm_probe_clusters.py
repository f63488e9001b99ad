"""This package's launchers, where Hydra looks for them: it takes none from elsewhere."""

from lstm_probe.cli import cluster_ray, cluster_slurm


class SlurmArray(cluster_slurm.SlurmArray):
    """Each run of a sweep is a task of a Slurm job array."""


class RayCluster(cluster_ray.RayCluster):
    """Each run of a sweep is a task of a Ray cluster."""
