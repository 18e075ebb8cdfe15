#!/bin/sh
# deb: remove, or upgrade NEW-VERSION. rpm: 0 for the last removal, 1 for an upgrade.
set -e

case "$1" in
remove | 0)
    if [ -d /run/systemd/system ]; then
        # The name of the template disables what was made of it; for `stop` a pattern does.
        systemctl --no-reload disable m365-audit.service m365-audit@.service || true
        systemctl stop m365-audit.service 'm365-audit@*.service' || true
    fi
    ;;
esac
