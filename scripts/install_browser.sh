#!/bin/sh
# Install Chromium and a font where Debian's tools and root are at hand and no browser is there yet.
# Never fails: without a browser its tests skip with a reason.
for name in "${TRANSFER_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium here and no way to install it: the tests in a browser will skip." >&2
    exit 0
fi
echo "Installing Chromium for the tests in a browser ..." >&2
export DEBIAN_FRONTEND=noninteractive
{
    timeout 120 apt-get update -q &&
    timeout 600 apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core
} >/dev/null || echo "Chromium could not be installed: the tests in a browser will skip." >&2
exit 0
