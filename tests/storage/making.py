"""A contrast and a path that tests of stores share."""

from fairtrial.study.study import Contrast

FIRST = Contrast("first", treatment={"norm": "gn"}, control={"norm": "bn"})


def only_file(store):
    (path,) = (store.folder / "cells").iterdir()
    return path
