#!/bin/sh
# Records in the form that Wazuh's own rules for Office 365 read, into a file that its agent tails.
exec "${M365_AUDIT:-m365-audit}" run --record-key office365 --content-type-field Subscription \
    --add-fields integration=office365 --output-line-bytes-max 64K \
    --output "${M365_AUDIT_SPOOL_FOLDER:-/var/log/m365}/wazuh.ndjson" --output-mode 0640 \
    --output-rotate-after 1d --output-keep 7 "$@"
