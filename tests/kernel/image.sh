#!/usr/bin/env bash
# Builds the disk image of the kernel lane, once, and prints the folder that holds it.
#   tests/kernel/image.sh [--rebuild]
# The folder: disk.img (a backing file, never written), and for each kernel line (6.1, 6.12) a folder with
# vmlinuz, initrd and release. It is cached under ${SLUICE_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/sluice}/kernel
# by a hash of this script and the suite; newer point releases of the packages are taken by --rebuild only.
set -euo pipefail

say() { echo "image.sh: $*" >&2; }
die() { say "$*"; exit 1; }

rebuild=
case "${1:-}" in
  '') ;;
  --rebuild) rebuild=1 ;;
  *) say "'$1' is not known; usage: image.sh [--rebuild]"; exit 2 ;;
esac

# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
declare -A kernels # kernel line → the package that depends on its newest release
case "$suite" in
  bookworm) kernels=([6.1]=linux-image-cloud-amd64 [6.12]=linux-image-6.12-cloud-amd64) ;;
  trixie) kernels=([6.12]=linux-image-cloud-amd64) ;;
  *) die "no kernels are known for '$suite'; the image is built from Debian's bookworm or trixie, on the same" ;;
esac
[ "$(dpkg --print-architecture)" = amd64 ] || die "only amd64 is known, not $(dpkg --print-architecture)"

tools=(systemd systemd-sysv dbus kmod redis-server python3 bpftool procps iproute2 strace)
# The libraries that the daemon links at run time, whatever their package names in this suite.
linked=(libsdbus-c++-dev libspdlog-dev libfmt-dev libbpf-dev libelf-dev libsystemd-dev libtomlplusplus-dev)

cache="${SLUICE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice}/kernel"
key=$(cat "${BASH_SOURCE[0]}" - <<<"$suite" | sha256sum | cut -c1-16)
image="$cache/$suite-$key"
mkdir -p "$cache"
exec 9>"$cache/build.lock"
if ! flock -n 9; then
  say "waiting for another build of the image"
  flock 9
fi
if [ -z "$rebuild" ] && [ -e "$image/ready" ]; then
  touch "$image/ready" # its age shows when it was last used
  echo "$image"
  exit 0
fi

[ "$(id -u)" -eq 0 ] || die "the first build of the image needs root (mmdebstrap, chroot); run it with sudo -E once"
for tool in mmdebstrap mkfs.ext4 cpio busybox xz; do
  command -v "$tool" >/dev/null || die "'$tool' is missing; run tests/support/deps.sh kernel"
done
busybox=$(command -v busybox)
# A dynamically linked busybox has no loader in the initrd, and the guest would die silently.
if LC_ALL=C ldd "$busybox" >/dev/null 2>&1; then die "$busybox is not static; install busybox-static"; fi

started=$SECONDS
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "building the $suite image under $cache (about a minute, once)"

apt-get -qq update >&2 || say "apt-get update failed; going on with the lists that are here"
runtime=()
for dev in "${linked[@]}"; do
  mapfile -t -O "${#runtime[@]}" runtime < <(
    apt-cache depends --no-recommends --no-suggests "$dev" | sed -n 's/^ *Depends: \(lib[^<]*\)$/\1/p' | grep -v -- '-dev$')
done

# The host's own sources and transport settings, so that its mirror and proxy work for the guest too.
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Identifier: Packages' 'Origin: Debian' | grep -E " $suite(-[a-z]+)? " | sort -u || true)
[ -n "$sources" ] || die "apt knows no Debian source of $suite; check /etc/apt/sources.list.d and apt-get update"
apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|Allow)' >"$work/apt.conf" || true
include=$(IFS=,; echo "${tools[*]},${runtime[*]}")
say "installing ${include//,/ }"
mmdebstrap --variant=essential --mode=root --format=directory --include="$include" \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --aptopt="$work/apt.conf" \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='force-unsafe-io' \
  "$suite" "$work/root" - <<<"$sources" >"$work/mmdebstrap.log" 2>&1 &
debstrap=$!

# The kernels are unpacked, not installed: their postinst would spend most of a minute on initrds that are
# not needed.
mkdir "$work/kernels" "$work/debs"
for line in "${!kernels[@]}"; do
  package=$(apt-cache depends "${kernels[$line]}" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
  [ -n "$package" ] || die "apt has no package ${kernels[$line]}; add the suite's security source and apt-get update"
  say "fetching $package"
  (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download "$package" >&2)
  mkdir -p "$work/out/$line"
  echo "${package#linux-image-}" >"$work/out/$line/release"
done
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/kernels"; done

wait "$debstrap" || { cat "$work/mmdebstrap.log" >&2; die "mmdebstrap failed; its log is above"; }
say "$(tail -1 "$work/mmdebstrap.log")"

root="$work/root"
mkdir -p "$root/payload" "$root/usr/lib/modules"
cp -a "$work"/kernels/lib/modules/. "$root/usr/lib/modules/"
echo guest >"$root/etc/hostname"
echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
# Given here, so that PID 1 does not spend time creating one.
echo 51c1ce00000000000000000000000000 >"$root/etc/machine-id"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nForwardToConsole=no\n' >"$root/etc/systemd/journald.conf.d/guest.conf"

# The staged installation has its own users and folders; both must exist before the bus reads its policy.
cat >"$root/usr/lib/systemd/system/guest-install.service" <<'UNIT'
[Unit]
Description=Users and folders of the staged installation
DefaultDependencies=no
ConditionPathExists=/payload/stage
Before=dbus.socket dbus.service sysinit.target
After=systemd-remount-fs.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=-/usr/bin/systemd-sysusers
ExecStart=-/usr/bin/systemd-tmpfiles --create --exclude-prefix=/dev
UNIT
# Delegate= makes PID 1 hand every controller to the root's children, and keep it so across reloads.
cat >"$root/usr/lib/systemd/system/guest-checks.service" <<'UNIT'
[Unit]
Description=The checks of the payload
Requires=dbus.socket
Wants=dbus.service
After=dbus.service
[Service]
Type=exec
Delegate=yes
TimeoutStopSec=5
ExecStart=/usr/bin/python3 -u /payload/guest/runner.py
ExecStopPost=/bin/sh -c 'echo b >/proc/sysrq-trigger'
StandardOutput=file:/dev/ttyS0
StandardError=inherit
UNIT
cat >"$root/usr/lib/systemd/system/guest.target" <<'UNIT'
[Unit]
Description=As little as the checks need
Requires=basic.target
Wants=guest-install.service guest-checks.service
After=basic.target
AllowIsolate=yes
UNIT

cat >"$work/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /root
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module" || echo "initrd: $module did not load"; done </modules.order
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 50 ]; do $b sleep 0.1; tries=$((tries + 1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /root || { echo "initrd: no root disk"; $b reboot -f; }
$b mount -t ext4 -o ro,noatime /dev/vdb /root/payload || { echo "initrd: no payload disk"; $b reboot -f; }
# Before PID 1 starts, so that units and bus policies are present as after the installation of a package.
[ ! -d /root/payload/stage ] || $b cp -a /root/payload/stage/. /root/
$b mount --move /dev /root/dev
$b mount --move /sys /root/sys
$b mount --move /proc /root/proc
exec $b switch_root /root /usr/lib/systemd/systemd
INIT

for line in "${!kernels[@]}"; do
  release=$(cat "$work/out/$line/release")
  say "initrd for $release"
  chroot "$root" depmod "$release"
  ramfs="$work/ramfs-$line"
  mkdir -p "$ramfs/bin" "$ramfs/modules"
  install -m 755 "$work/init" "$ramfs/init"
  install -m 755 "$busybox" "$ramfs/bin/busybox"
  # modprobe knows each kernel's order (virtio_ring before virtio, …); busybox' insmod cannot read .xz.
  chroot "$root" modprobe -S "$release" --show-depends -a virtio_pci virtio_blk ext4 |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r module; do
      name=$(basename "$module" .xz)
      case "$module" in
        *.xz) xz -dc "$root$module" >"$ramfs/modules/$name" ;;
        *) cp "$root$module" "$ramfs/modules/$name" ;;
      esac
      echo "/modules/$name"
    done >"$ramfs/modules.order"
  (cd "$ramfs" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/out/$line/initrd"
  cp "$work/kernels/boot/vmlinuz-$release" "$work/out/$line/vmlinuz"
done

say "writing the disk ($(du -sm "$root" | cut -f1) MB of files)"
mkfs.ext4 -q -F -O '^has_journal' -E lazy_itable_init=1 -m 0 -d "$root" "$work/out/disk.img" 3G >/dev/null
cp "$work/mmdebstrap.log" "$work/out/"
chroot "$root" dpkg-query -W >"$work/out/packages"
touch "$work/out/ready"
rm -rf "$image"
mv "$work/out" "$image"
# Images of older versions of this script that were not used for two weeks.
find "$cache" -mindepth 2 -maxdepth 2 -name ready -mtime +14 -printf '%h\n' | xargs -r rm -rf
say "done in $((SECONDS - started)) s: $image"
echo "$image"
