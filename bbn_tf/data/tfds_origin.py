"""What a run records of its TFDS data set, tfds.json: another version or format may stand there at the next start."""

import dataclasses
import json
import pathlib
import zlib

from bbn_tf.errors import UserError
from bbn_tf.files import write_json

NAME = "tfds.json"


@dataclasses.dataclass(frozen=True)
class Origin:
    """A data set as TFDS has prepared it.

    Attributes:
        name: as the user spells it.
        splits: "TRAIN,EVAL".
        version: NAME[/CONFIG]/VERSION.
        file_format: TFDS's name of it.
        train, eval: checksums of each part's labels and ids, in whatever order.
        order: checksum of those to train on in their order, by which images are held out or left out of a long tail.
    """

    name: str
    splits: str
    version: str
    file_format: str
    train: str
    eval: str
    order: str

    def digest(self):
        """Text that is the same for the same images, as `record.Record.digest`."""
        return _checksum([self.version, self.splits, self.train, self.eval, self.order])

    def check(self, now, place, ways_out, ordered=True):
        """Compares with the data set that is there now.

        Args:
            now: `Origin`.
            place: folder of the run that has this one.
            ways_out: what to do, besides preparing the data set as it was.
            ordered: whether the order matters.

        Raises:
            UserError: it is another one.
        """
        names = ["version", "train", "eval", *(["order"] if ordered else [])]
        if all(getattr(self, name) == getattr(now, name) for name in names):
            return
        how = " with other images or labels, or another order" if self._title() == now._title() else ""
        raise UserError(
            f"{place} was trained on {self._title()}, but TFDS holds {now._title()}{how}; "
            f"put that data set back, without a newer version beside it{ways_out}"
        )

    def _title(self):
        return f"{self.version} ({self.file_format})"


def of(builder, name, splits, parts):
    """`Origin` of a data set.

    Args:
        builder: TFDS's.
        name: of the data set, as the user spells it.
        splits: (split to train on, split to evaluate on).
        parts: for each split a list of what tells its images apart: labels, or (label, id) where ids are at hand.
    """
    train, held_out = parts
    return Origin(
        name=name,
        splits=",".join(splits),
        version=builder.info.full_name,
        file_format=builder.info.file_format.value,
        train=_checksum(sorted(train)),
        eval=_checksum(sorted(held_out)),
        order=_checksum(train),
    )


def _checksum(content):
    return f"{zlib.crc32(repr(content).encode()):08x}"


def write(folder, origin):
    """Writes `origin` into a run's folder."""
    write_json(pathlib.Path(folder) / NAME, dataclasses.asdict(origin))


def read(folder):
    """`Origin` of a run's folder, None without one.

    Raises:
        UserError: it is damaged.
    """
    file = pathlib.Path(folder) / NAME
    try:
        return Origin(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{file}: damaged, can't be read ({type(error).__name__}); put it back as it was, or train again with "
            "--overwrite"
        ) from error


def delete(folder):
    """Deletes the file, if there is one."""
    (pathlib.Path(folder) / NAME).unlink(missing_ok=True)
