"""A pytest plugin: a property test that fails says so at once, instead of looking for its smallest example."""

from hypothesis import Phase, settings

settings.register_profile("unshrunk", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None)
settings.load_profile("unshrunk")
