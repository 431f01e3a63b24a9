#!/bin/sh
# Builds and tries the image without a container engine, on Debian 12 as root.
#
#   apt-get install -y buildah debootstrap
#   VARIANT=cpu WEIGHTS="" scripts/build_image.sh [BUILDAH OPTION ...]
#
# Settings, from the environment:
#   VARIANT   gpu or cpu (cpu)              WEIGHTS   backbones to bake in ("MobileNetV2")
#   WORK      where to work (/var/tmp)      MIRROR    of Debian (http://deb.debian.org/debian)
#   OUTPUT    a file for the image, for `docker load` (none: it is built, tried and removed)
#   TRY       a command of `python -m transfer` to run in the image, too (none)
#   KEEP      1 leaves the work folder as it is
#
# Options go to `buildah build`. A host with certificates or pip settings of its own gives them as
#   --volume /etc/ssl/certs:/etc/ssl/certs:ro --volume "$PWD/pip.conf:/etc/pip.conf:ro"
# which, unlike --env, leave nothing of themselves in the image but an empty file where there was
# none.
set -eu

VARIANT=${VARIANT:-cpu}
WEIGHTS=${WEIGHTS-MobileNetV2}
SUITE=bookworm # its Python is 3.11
BASE=localhost/python:3.11-slim
IMAGE=localhost/transfer-workbench:$VARIANT
OUTPUT=${OUTPUT:+$(realpath -m "$OUTPUT")}

cd "$(dirname "$0")/.."
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "Missing: apt-get install -y $tool" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root." >&2; exit 2; }

work=$(mktemp -d "${WORK:-/var/tmp}/transfer-image.XXXXXX")
clean_up() {
    if [ "${KEEP:-}" = 1 ]; then
        echo "Kept: $work" >&2
    else
        rm -rf --one-file-system "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { echo "[$(($(date +%s) - started)) s] $*" >&2; }
engine() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
started=$(date +%s)

say "Base: Debian $SUITE with its Python, in the place of python:3.11-slim"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
    "$SUITE" "$work/rootfs" "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" \
    || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
container=$(engine from scratch)
engine copy --quiet "$container" "$work/rootfs" / >/dev/null
engine commit --quiet --rm "$container" "$BASE" >/dev/null
rm -rf --one-file-system "$work/rootfs"

say "Image: VARIANT=$VARIANT WEIGHTS=\"$WEIGHTS\""
engine build --isolation chroot --network host --format docker --pull-never \
    --build-arg PYTHON_IMAGE="$BASE" --build-arg VARIANT="$VARIANT" \
    --build-arg WEIGHTS="$WEIGHTS" --tag "$IMAGE" "$@" .
say "Built: $(engine images --format '{{.Size}}' "$IMAGE")"

# As the image's user and in its folder, but buildah runs no entrypoint by itself, and no command
# as process 1, hence -s.
container=$(engine from --pull-never "$IMAGE")
try() {
    engine run --isolation chroot --network host "$container" -- tini -s -- python -m transfer "$@"
}
# shellcheck disable=SC2016 # for the shell in the image
engine run --isolation chroot "$container" -- sh -c \
    'id && test "$(id -u)" != 0 && test -w "$KERAS_HOME" && test -w "$TRANSFER_HOME" && test -w /runs'
try backbones --json >"$work/backbones.json"
for name in builtin $WEIGHTS; do
    python3 - "$name" "$work/backbones.json" <<'PYTHON'
import json, sys
name, path = sys.argv[1:]
with open(path) as file:
    listed = json.loads(file.read().splitlines()[-1])["backbones"]
if not any(entry["name"] == name and entry["weights"] == "present" for entry in listed):
    sys.exit(f"The image lacks the weights of {name}.")
PYTHON
done
say "Tried: backbones"
# The image's own command and its own health check.
engine run --isolation chroot --network host "$container" -- sh -c '
    tini -s -- python -m app --address 0.0.0.0 --no-browser & app=$!
    for _ in $(seq 60); do
        sleep 1
        python -c "from urllib.request import urlopen; urlopen(\"http://127.0.0.1:8501/_stcore/health\", timeout=4)" 2>/dev/null || continue
        kill $app; python -m app stop; exit 0
    done
    exit 1'
say "Tried: the app answers on /_stcore/health"
if [ -n "${TRY:-}" ]; then
    # shellcheck disable=SC2086 # a command and its options
    try $TRY
    say "Tried: $TRY"
fi

if [ -n "$OUTPUT" ]; then
    engine push --quiet "$IMAGE" "docker-archive:$OUTPUT:transfer-workbench:$VARIANT"
    say "Written: $OUTPUT; docker load --input $OUTPUT"
fi
say "Done."
