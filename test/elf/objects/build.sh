#!/bin/sh
# Builds the objects of the tests of ELF loading with clang 14: sh test/elf/objects/build.sh
set -eu
cd "$(dirname "$0")"

build() { # object, source, more flags
  object=$1 source=$2
  shift 2
  clang -O2 -g -target bpf -mcpu=v3 -I/usr/include/x86_64-linux-gnu -fdebug-compilation-dir=. \
    "$@" -c "$source.bpf.c" -o "$object.o"
  llvm-strip -g "$object.o"
}

for source in sections nested pinned callback legacy iproute2 locks redirect globals; do build "$source" "$source"; done
build pinned_larger pinned -DENTRIES=32
build big_endian refused -target bpfeb
build extern_kconfig refused -DKCONFIG
build extern_ksym refused -DKSYM
build core refused -DCORE
build static refused -DSTATIC
build ld_abs refused -DLD_ABS
build unknown_section refused '-DSECTION="xdp/b"'
build tracing refused '-DSECTION="fentry/do_nanosleep"'
