"""Nested dicts and lists of numbers, strings and arrays in one file, in which nothing is code.

A zip file whose members are stored as they are: ``state.json``, in which {"npy": name} stands for
an array, and every array as a ``.npy`` member, which `numpy.load` reads as well.
"""

import json
import os
import re
import struct
import uuid
import zipfile
from contextlib import suppress
from math import prod

import numpy as np

STATE = "state.json"
DTYPE = r"\|b1|[|<][iu][1248]|<f[248]|<U[1-9]\d{0,8}"
# Headers as NumPy writes them; matched, not evaluated.
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '(%s)', 'fortran_order': False, "
    rb"'shape': \(((?:\d{1,18},? ?)*)\), \} *\n" % DTYPE.encode(),
    re.DOTALL,
)
# What damaged files make zipfile and json raise, besides ValueError.
DAMAGES = (
    zipfile.BadZipFile, struct.error, EOFError, LookupError, NotImplementedError, OverflowError,
    OSError, RuntimeError,
)  # fmt: skip


def write_archive(path, state, temporary=None):
    """Write a state: at `path` is the old file or, as a whole, the new one.

    state : None, bool, int, finite float, str, NumPy array or scalar, or a list or dict (its keys
    are str) of these. temporary : name of the file until it is whole, which nothing has yet and a
    kill leaves behind; None: one that no other process takes.

    Raises
    ------
    ValueError
        For numbers and arrays of other kinds.
    """
    path = os.fsdecode(path)
    temporary = temporary or f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                document = _detach(archive, state, "")
                with _member(archive, STATE) as member:
                    member.write(json.dumps(document, allow_nan=False, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def _member(archive, name):
    # A ZipInfo has a fixed date: the same state, the same bytes.
    return archive.open(zipfile.ZipInfo(name), "w", force_zip64=True)


def _detach(archive, state, name):
    """The state with names in place of arrays, which go into the archive."""
    if isinstance(state, dict):
        return {key: _detach(archive, value, f"{name}/{key}") for key, value in state.items()}
    if isinstance(state, list):
        return [_detach(archive, value, f"{name}/{i}") for i, value in enumerate(state)]
    if not isinstance(state, np.ndarray | np.generic):
        return state
    name = name.lstrip("/")
    array = np.asarray(state, order="C" if np.isfortran(state) else None)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if not re.fullmatch(DTYPE, array.dtype.str):
        raise ValueError(f"{name}: values of type {array.dtype} cannot be saved.")
    name += ".npy"
    with _member(archive, name) as member:
        np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return {"npy": name}


def read_archive(path):
    """The state in a file that `write_archive` made; NumPy scalars are arrays of no dimension.

    Takes no more memory than a few times the file's size, whatever the file says.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is something else, damaged, or has members that `write_archive` would not have made.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                return _unpack(archive, size)
        except (ValueError, *DAMAGES) as error:
            raise ValueError(
                f"{os.fsdecode(path)} holds no model, or a damaged one: {error}"
            ) from error


def _unpack(archive, size):
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(names) < len(members):
        raise ValueError("a member is there twice")
    if any(
        m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in members
    ):
        raise ValueError("members must not be compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError("members are larger than the file")
    document = json.loads(archive.read(STATE), parse_constant=_refuse)
    unread = names - {STATE}
    state = _attach(archive, document, unread)
    if unread:
        raise ValueError(f"unknown members {sorted(unread)[:5]}")
    return state


def _refuse(constant):
    raise ValueError(f"{constant} in {STATE}")


def _attach(archive, state, unread):
    """The state with arrays in place of their names; takes the names out of `unread`."""
    if isinstance(state, list):
        return [_attach(archive, value, unread) for value in state]
    if not isinstance(state, dict):
        return state
    if set(state) != {"npy"}:
        return {key: _attach(archive, value, unread) for key, value in state.items()}
    name = state["npy"]
    if not isinstance(name, str) or name not in unread:
        raise ValueError(f"no member {name!r} to be read, or read already")
    unread.remove(name)
    return _array(archive.read(name), name)


def _array(data, name):
    header = HEADER.match(data)
    if header is None or int.from_bytes(header[1], "little") != header.end() - 10:
        raise ValueError(f"{name} is no array of numbers or strings in .npy format 1.0")
    dtype = np.dtype(header[2].decode())
    shape = [int(n) for n in header[3].split(b",") if n.strip()]
    if prod(shape) * dtype.itemsize != len(data) - header.end():
        raise ValueError(f"{name} has not the size that its header says")
    array = np.frombuffer(data, dtype, offset=header.end()).reshape(shape)
    codes = {"U": ("<u4", 0x10FFFF), "b": ("u1", 1)}.get(dtype.kind)
    if codes and array.reshape(-1).view(codes[0]).max(initial=0) > codes[1]:
        raise ValueError(f"{name} holds what is neither text nor true nor false")
    # A copy, which is writeable.
    return array.astype(dtype.newbyteorder("="))
