"""From what stands after `--subject` to the subject: one of ours by its name, or the user's as FILE.py:NAME or package.module:NAME."""

import hashlib
from functools import lru_cache
from pathlib import Path

from data_pipeline.subjects.code import CODE
from data_pipeline.subjects.mathematics import MATHEMATICS
from data_pipeline.subjects.subject import Subject
from verifiers.input_error import InputError, did_you_mean
from verifiers.rewards.named_functions import find_object

OWN = {"math": MATHEMATICS, "code": CODE}


@lru_cache
def subject_of(spec: str) -> Subject:
    """Raises InputError where there is none of that name. A user's file runs in the process that asks."""
    if ":" not in spec:
        if spec not in OWN:
            hint = did_you_mean(spec, OWN) or f"; there are {', '.join(OWN)}"
            raise InputError(f"subject {spec!r} is unknown{hint}; your own is FILE.py:NAME")
        return OWN[spec]
    found = find_object(spec, form="a subject is FILE.py:NAME")
    if not isinstance(found, Subject):
        raise InputError(f"subject {spec} is no Subject but {found!r:.60}; make one of data_pipeline.subjects.subject.Subject")
    return found


def fingerprint(spec: str) -> str:
    """What decides a subject's answers, for the configuration of results that hold them: the name, and of a user's file its bytes."""
    place = spec.rpartition(":")[0]
    if not place.endswith(".py"):
        return spec
    try:
        raw = Path(place).expanduser().read_bytes()
    except OSError as error:
        raise InputError(
            f"subject {spec}: {place} cannot be read ({error.strerror or error}); give the path from the current folder"
        ) from error
    return f"{spec} {hashlib.blake2b(raw, digest_size=8).hexdigest()}"
