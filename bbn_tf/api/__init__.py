"""What `import bbn_tf` offers to a program of one's own: names and type hints for what the packages do."""

from bbn_tf import surroundings

surroundings.check_keras()  # before Keras is imported
