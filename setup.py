# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The Python package: the BCC frontend and the command. bcc itself is the distribution's package."""
from glob import glob

from setuptools import setup

with open("VERSION", encoding="ascii") as file:
    VERSION = file.read().strip()

setup(
    name="bpfduet",
    version=VERSION,
    description="One BPF program, two ways to run it, one output",
    license="GPL-2.0-only OR BSD-2-Clause",
    python_requires=">=3.9",
    install_requires=["tomli; python_version < '3.11'"],
    package_dir={"": "python"},
    packages=["bpfduet", "bpfduet.bcc", "bpfduet.commands", "bpfduet.kernel_headers", "bpfduet.plain",
              "bpfduet.spec"],
    package_data={"bpfduet.spec": ["data/*"]},
    data_files=[
        ("share/bpfduet", ["VERSION"]),
        ("share/bpfduet/headers", glob("headers/*.h")),
        ("share/bpfduet/shared_bpf",
         glob("shared_bpf/*.bpf.c") + glob("shared_bpf/*.toml") + glob("shared_bpf/*.h")),
    ],
    entry_points={"console_scripts": ["bpfduet = bpfduet.begin:main"]},
)
