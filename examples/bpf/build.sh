#!/bin/sh
# Builds the committed objects (made with clang 14). Keeps BTF, drops DWARF and paths.
set -eu
cd "$(dirname "$0")"
for name in filter policy; do
  clang -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -Wall -Wextra -Wno-unused-parameter \
    -c "$name.c" -o "$name.o"
  llvm-strip -g "$name.o"
done
