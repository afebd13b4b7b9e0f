"""Properties are about what is true, not about how fast a busy machine finds it out."""

import os

from hypothesis import settings

# Each run tries others, so few in each are many in the end. Whoever looks for something asks for more.
EXAMPLES = int(os.environ.get("DOCKBELL_TEST_EXAMPLES", "50"))

settings.register_profile("dockbell", deadline=None, max_examples=EXAMPLES)
settings.load_profile("dockbell")
