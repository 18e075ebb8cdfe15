#!/bin/sh
# deb: remove, purge, upgrade … rpm: 0 for the last removal, 1 for an upgrade.
set -e

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi

# The state stays until somebody purges it: without it everything would be collected again. Records
# in /var/log stay even then: nobody else may have them.
if [ "$1" = purge ]; then
    rm -rf /var/lib/private/m365-audit /var/lib/m365-audit
    rm -rf /var/lib/private/m365-audit-* /var/lib/m365-audit-*
    rm -rf /etc/m365-audit/m365-audit.credentials
fi
