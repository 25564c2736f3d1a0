"""Export formats by name."""

from bbn_tf.choices import START, Choice, Setting, Table

WRITERS = "bbn_tf.modes.export:"
# Trait `packages`: the packages that the format needs besides TensorFlow.
FORMATS = Table(
    "export_formats",
    saved_model=Choice(f"{WRITERS}write_saved_model"),
    litert=Choice(f"{WRITERS}write_litert"),
    onnx=Choice(f"{WRITERS}write_onnx", packages=("tf2onnx", "onnx")),
)
EXPORT_FORMATS = Setting(
    "export_formats",
    ("saved_model",),
    "Formats to write, separated by commas.",
    kind=tuple[str, ...],
    table=FORMATS,
    part=START,
)
