#!/usr/bin/env python3
"""What is built in: licences, sources and names of all dependencies, and where `unsafe` stands and why.

Exits with 1 where a licence is not among those allowed, a crate comes from elsewhere than the registry, one that talks
to a network is there, a socket is in the code, or a file has `unsafe` without an argument here.
"""

import json
import pathlib
import re
import subprocess
import sys

# Each may be linked into a program under MIT or Apache-2.0 and asks no more of it than a notice.
ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "Zlib",
           "Unicode-3.0", "CC0-1.0", "0BSD", "Unlicense", "MIT-0", "bzip2-1.0.6"}

# Nothing here reaches a network.
NETWORK = {"hyper", "reqwest", "ureq", "curl", "rustls", "native-tls", "openssl-sys", "socket2", "quinn", "h2"}

# Where `unsafe` may stand, and the argument in short; the long one is each block's `// SAFETY:`, which clippy demands.
ARGUED = {
    "kernel/": "instructions that were detected; shared floats by assembly whose lanes cannot tear; ids below the length, "
               "which Rows::new checks once for all loops",
    "data/slots.rs": "rows of a permutation are disjoint, so that threads fill them at once; advice on pages",
}

# Words of the standard library that reach a network.
SOCKETS = re.compile(r"\b(std::net|TcpStream|TcpListener|UdpSocket|UnixStream)\b")


def licence_fits(expression):
    """Whether one of the choices that an SPDX expression leaves is allowed in all its parts."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)

    def either(at):
        fits, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            other, at = both(at + 1)
            fits = fits or other
        return fits, at

    def both(at):
        fits, at = one(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = one(at + 1)
            fits = fits and other
        return fits, at

    def one(at):
        if tokens[at] == "(":
            fits, at = either(at + 1)
            return fits, at + 1
        name, at = tokens[at], at + 1
        if at < len(tokens) and tokens[at] == "WITH":
            name, at = f"{name} WITH {tokens[at + 1]}", at + 2
        return name in ALLOWED, at

    return either(0)[0]


def built(root):
    """The packages of every target that a user's build takes in: no development dependencies."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    told = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in told["packages"]}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    own = told["resolve"]["root"]
    found, left = set(), [own]
    while left:
        package = left.pop()
        if package in found:
            continue
        found.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                left.append(dependency["pkg"])
    direct = sum(any(kind["kind"] is None for kind in d["dep_kinds"]) for d in nodes[own]["deps"])
    return [packages[package] for package in found if package != own], direct


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    wrong = []
    packages, direct = built(root)
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if not package["license"] or not licence_fits(package["license"]):
            wrong.append(f"{name}: licence {package['license']}")
        if not (package["source"] or "").startswith("registry+"):
            wrong.append(f"{name}: from {package['source']}")
        if package["name"] in NETWORK:
            wrong.append(f"{name}: talks to a network")
    print(f"{direct} direct dependencies, {len(packages)} in all, on all platforms")
    print("licences: " + ", ".join(sorted({package["license"] for package in packages if package["license"]})))

    total = 0
    for path in sorted((root / "src").rglob("*.rs")):
        name = str(path.relative_to(root / "src"))
        code = [line.split("//")[0] for line in path.read_text().splitlines()]
        if any(SOCKETS.search(line) for line in code):
            wrong.append(f"{name}: a socket")
        count = sum(len(re.findall(r"\bunsafe\b", line)) for line in code)
        if count:
            total += count
            print(f"unsafe {count:3}  {name}")
            if not name.startswith(tuple(ARGUED)):
                wrong.append(f"{name}: unsafe without an argument in {pathlib.Path(__file__).name}")
    for name, argument in ARGUED.items():
        print(f"{name}: {argument}")
    print(f"unsafe {total:3}  in all")
    for line in wrong:
        print("wrong: " + line)
    sys.exit(bool(wrong))


main()
