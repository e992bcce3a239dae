#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs, and nothing when they are there already.
#   tests/support/deps.sh build|demo|test|kernel ...
# Debian 12 and 13. Needs root (or sudo) only when something is missing.
set -euo pipefail

build=(build-essential cmake ninja-build ccache pkg-config clang llvm bpftool git ca-certificates
  libboost-dev libsdbus-c++-dev libsystemd-dev libbpf-dev libelf-dev zlib1g-dev libspdlog-dev libfmt-dev
  libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libexpected-dev libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev libfuse3-dev libhiredis-dev)
demo=(dbus fuse3 systemd)
test_=(clang-format clang-tidy shellcheck python3-pyflakes "libclang-rt-$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1)-dev"
  bubblewrap python3 python3-gi python3-dbus redis-server util-linux procps)
kernel=(qemu-system-x86 mmdebstrap e2fsprogs cpio busybox-static zstd lz4 python3)

want=()
for purpose in "${@:-build}"; do
  case "$purpose" in
    build) want+=("${build[@]}") ;;
    demo) want+=("${demo[@]}") ;;
    test) want+=("${test_[@]}") ;;
    kernel) want+=("${kernel[@]}") ;;
    *) echo "deps.sh: '$purpose' is none of build, demo, test, kernel" >&2; exit 2 ;;
  esac
done

missing() {
  local p
  for p in "${want[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
  done
}

mapfile -t need < <(missing)
[ ${#need[@]} -eq 0 ] && exit 0
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps.sh: these packages are missing and this is not root: ${need[*]}" >&2; exit 3; }
  sudo=(sudo)
fi
echo "Installing ${#need[@]} Debian packages: ${need[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get -qq update
# A package's own service (redis-server's) must not start on the machine that merely tests.
policy=/usr/sbin/policy-rc.d made=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
  "${sudo[@]}" chmod 755 "$policy"; made=1
fi
trap '[ -z "$made" ] || "${sudo[@]}" rm -f "$policy"' EXIT
"${sudo[@]}" apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${need[@]}" >/dev/null
