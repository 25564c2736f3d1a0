"""What `import bbn_tf` offers to your own program: names and type hints for what the packages do."""

from bbn_tf import surroundings

surroundings.check_keras()  # before Keras is imported
