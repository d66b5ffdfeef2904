"""Extensions and their one set of compiler directives; everything else is in pyproject.toml."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CHECKED = os.environ.get("SKLEARN_LSH_BOUNDSCHECK", "0") == "1"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": CHECKED,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
    "freethreading_compatible": True,
}
OPENMP_SOURCE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class BuildExt(build_ext):
    """Adds what this compiler understands: vector loops everywhere, OpenMP where it links."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            compile_args, openmp = ["/O2"], ["/openmp"]
        else:
            compile_args, openmp = ["-O3", "-fopenmp-simd", "-fno-math-errno"], ["-fopenmp"]
        if self.links(openmp):
            compile_args += openmp
        else:
            print("warning: no OpenMP here; sklearn_lsh will run on one thread", file=sys.stderr)
            openmp = []
        for extension in self.extensions:
            extension.extra_compile_args += compile_args
            extension.extra_link_args += [] if self.compiler.compiler_type == "msvc" else openmp
        super().build_extensions()

    def links(self, flags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text(OPENMP_SOURCE)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_preargs=flags
                )
                self.compiler.link_executable(
                    objects,
                    str(Path(folder, "openmp")),
                    extra_preargs=[] if self.compiler.compiler_type == "msvc" else flags,
                )
            except Exception:  # a compiler says no in its own way
                return False
        return True


KERNELS = Path("sklearn_lsh", "_kernels")
extensions = [
    Extension(
        f"sklearn_lsh._kernels.{path.stem}",
        [str(path)],
        depends=[str(path) for path in KERNELS.glob("*.h")],
        include_dirs=[str(KERNELS), np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )
    for path in sorted(KERNELS.glob("*.pyx"))
]
setup(
    ext_modules=cythonize(extensions, compiler_directives=DIRECTIVES),
    cmdclass={"build_ext": BuildExt},
)
