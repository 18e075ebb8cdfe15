//! Every filter of the Activities API, once: its name, its kind, its operators. Microsoft's list
//! ("Activities API", supported filters) and nothing else.

use super::spec::Kind::{
    Boolean, Entity, File, Integer, NumberOf, Source, Text, Timestamp, WordOf,
};
use super::spec::Operator::{
    Contains, DoesNotStartWith, EndsWith, Eq, Gt, Gte, GteNDays, IsNotSet, IsSet, Lt, Lte,
    LteNDays, NContains, Neq, Range, StartsWith, StartsWithSingle, Text as Words,
};
use super::spec::{FilterSpec, Kind, Operator};

const EQUAL: &[Operator] = &[Eq, Neq];
const PRESENCE: &[Operator] = &[Eq, Neq, IsSet, IsNotSet];
const PREFIX: &[Operator] = &[Eq, Neq, IsSet, IsNotSet, StartsWith];
const ONLY: &[Operator] = &[Eq];

const TAKEN_ACTIONS: &[&str] = &[
    "block",
    "proxy",
    "BypassProxy",
    "encrypt",
    "decrypt",
    "verified",
    "encryptionFailed",
    "protect",
    "verify",
    "null",
];

const DEVICE_TYPES: &[&str] = &["DESKTOP", "MOBILE", "TABLET", "OTHER", "null"];

const IP_CATEGORIES: &[(i32, &str)] = &[
    (1, "Corporate"),
    (2, "Administrative"),
    (3, "Risky"),
    (4, "VPN"),
    (5, "Cloud provider"),
    (6, "Other"),
];

const SOURCES: &[(i32, &str)] = &[
    (0, "Access control"),
    (1, "Session control"),
    (2, "App connector"),
    (3, "App connector analysis"),
    (5, "Discovery"),
    (6, "MDATP"),
];

const fn filter(
    name: &'static str,
    kind: Kind,
    operators: &'static [Operator],
    help: &'static str,
) -> FilterSpec {
    FilterSpec { name, kind, operators, help }
}

/// Every filter, in the order of Microsoft's list.
pub const FILTERS: &[FilterSpec] = &[
    filter("service", Integer, EQUAL, "the app, by its id: 11770"),
    filter("instance", Integer, EQUAL, "the instance of the app"),
    filter("user.orgUnit", Text, PRESENCE, "organizational unit of the performing user"),
    filter(
        "actionType",
        Text,
        &[Contains, Eq, Neq, IsSet, IsNotSet],
        "more specific type of the action",
    ),
    filter("activity.eventActionType", Text, EQUAL, "type of the event"),
    filter("activity.id", Text, ONLY, "the activity of this id"),
    filter("activity.impersonated", Boolean, ONLY, "impersonated events, or all others"),
    filter("activity.type", Boolean, ONLY, "administrative events, or regular ones"),
    filter("activity.takenAction", WordOf(TAKEN_ACTIONS), EQUAL, "action taken on the activity"),
    filter("device.type", WordOf(DEVICE_TYPES), EQUAL, "type of the device"),
    filter("device.tags", Text, EQUAL, "ids of device tags"),
    filter("userAgent.userAgent", Text, &[Contains, NContains], "part of the user agent"),
    filter("userAgent.tags", Text, EQUAL, "ids of user agent tags"),
    filter("location.country", Text, PRESENCE, "country or region code"),
    filter(
        "location.organizations",
        Text,
        &[Eq, Neq, IsSet, IsNotSet, Contains],
        "organization of the address",
    ),
    filter(
        "ip.address",
        Text,
        &[Eq, StartsWith, DoesNotStartWith, IsSet, IsNotSet, Neq],
        "IP address",
    ),
    filter("fileSelector", File, EQUAL, "file or folder that the activity contains"),
    filter("office365url", Text, &[StartsWith, Eq, EndsWith], "Microsoft 365 URL"),
    filter("fileId", Text, ONLY, "file of this id"),
    filter("ip.category", NumberOf(IP_CATEGORIES), EQUAL, "category of the subnet"),
    filter("ip.tags", Text, EQUAL, "ids of IP tags"),
    filter("text", Text, &[Eq, StartsWithSingle, Words], "free text"),
    filter("date", Timestamp, &[Lte, Gte, Range, LteNDays, GteNDays], "when it happened"),
    filter("policy", Text, PRESENCE, "related policies"),
    filter("source", Source(SOURCES), EQUAL, "stream (s:ID) or type (t:NUMBER) of the source"),
    filter("activity.alertId", Text, ONLY, "activities of an alert"),
    filter("activityObject", Text, EQUAL, "id of an object of the activity"),
    filter("fileLabels", Text, EQUAL, "ids of file labels"),
    filter("created", Timestamp, &[Lte, Gte, Range, Gt, Lt, Eq], "when it was stored"),
    filter("entity", Entity, PREFIX, "entity that performed the activity"),
    filter("user.username", Text, PREFIX, "user who performed the activity"),
    filter("user.tags", Text, PREFIX, "group ids of the performing user"),
    filter("user.domain", Text, PRESENCE, "domain of the performing user"),
];

/// The filter called `name`, in Microsoft's spelling.
pub(super) fn find(name: &str) -> Option<&'static FilterSpec> {
    FILTERS.iter().find(|filter| filter.name == name)
}
