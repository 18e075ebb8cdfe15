#!/bin/sh
# deb: configure [OLD-VERSION]. rpm: 1 for the first installation, 2 for an upgrade.
set -e

if command -v systemd-sysusers >/dev/null 2>&1; then
    systemd-sysusers m365-audit.conf
elif command -v adduser >/dev/null 2>&1 && ! getent passwd m365-audit >/dev/null; then
    adduser --system --group --quiet --no-create-home --home /var/lib/m365-audit m365-audit
fi

# Given to the collector once; what the administrator decides later stays.
for path in /etc/m365-audit /etc/m365-audit/m365-audit.toml; do
    if [ -e "$path" ] && [ "$(stat -c %G "$path")" = root ] && getent group m365-audit >/dev/null; then
        chgrp m365-audit "$path"
    fi
done

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    if [ "$1" = 2 ] || { [ "$1" = configure ] && [ -n "$2" ]; }; then
        systemctl try-restart m365-audit.service 'm365-audit@*.service' || true
    fi
fi
