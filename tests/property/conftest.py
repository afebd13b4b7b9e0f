"""Properties are about what is true, not about how fast a busy machine finds it out."""

from hypothesis import settings

settings.register_profile("dockbell", deadline=None)
settings.load_profile("dockbell")
