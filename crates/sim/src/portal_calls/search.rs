//! Searching: pages by `skip` and `limit` in normal mode, pages that name the filters of the next
//! in scan mode. Bounds are Microsoft's; what breaks them is answered as well as it can be, and
//! told to the report.

use serde_json::{Value, json};

use super::detail::detail;
use super::filter::{self, Condition};
use crate::answer::Answer;
use crate::body::Body;
use crate::draw;
use crate::faults::Fault;
use crate::http::{Query, Request};
use crate::portal::{Activity, Facts};
use crate::report::Rule;
use crate::service::Microsoft;

/// Records of a page in normal mode.
const LIMIT_MAX: u64 = 100;
/// Records of a page in scan mode.
const SCAN_LIMIT: std::ops::RangeInclusive<u64> = 500..=5_000;
/// How far normal mode reaches.
const SKIP_MAX: u64 = 5_000;
/// The member of `nextQueryFilters` that says where the next page begins.
const CURSOR: &str = "scan.cursor";

/// What is asked for.
struct Search {
    filters: Value,
    by_created: bool,
    ascending: bool,
    skip: u64,
    limit: Option<u64>,
    scan: bool,
}

impl Search {
    /// Reads JSON, a form or a query: all are taken.
    fn read(request: &Request) -> Option<Self> {
        let form = |query: &Query| {
            let mut value = json!({});
            for name in ["sortField", "sortDirection"] {
                value[name] = query.get(name).into();
            }
            for name in ["filters", "skip", "limit", "isScan"] {
                let text = query.get(name).unwrap_or("null");
                value[name] = serde_json::from_str(text).ok()?;
            }
            Some(value)
        };
        let value: Value = if request.method == "GET" {
            form(&Query::parse(request.query().as_bytes()))?
        } else if request.body.is_empty() {
            json!({})
        } else if request.find("content-type").is_some_and(|kind| kind.contains("form")) {
            form(&Query::parse(&request.body))?
        } else {
            serde_json::from_slice(&request.body).ok().filter(Value::is_object)?
        };
        let filters = match &value["filters"] {
            Value::Null => json!({}),
            filters => filters.clone(),
        };
        Some(Self {
            filters,
            by_created: value["sortField"] == "created",
            ascending: value["sortDirection"] == "asc",
            skip: value["skip"].as_u64().unwrap_or_default(),
            limit: value["limit"].as_u64(),
            scan: value["isScan"] == true,
        })
    }

    /// What the service puts first comes first.
    fn place(&self, activity: Activity, facts: &dyn Fn(Activity) -> i64) -> (i64, i64, u64) {
        let at = if self.by_created { activity.created_ms } else { facts(activity) };
        let sign = if self.ascending { 1 } else { -1 };
        (at * sign, activity.created_ms * sign, activity.key)
    }
}

impl Microsoft {
    pub(super) fn search(&mut self, now_ms: i64, request: &Request, tenant: usize) -> Answer {
        let Some(mut search) = Search::read(request) else {
            self.illegal(now_ms, request, Rule::BadBody, "the search cannot be read");
            return detail(400, "JSON parse error");
        };
        let cursor = search.filters.as_object_mut().and_then(|filters| filters.remove(CURSOR));
        let (mut conditions, wrong) = filter::read(&search.filters);
        for why in wrong {
            self.illegal(now_ms, request, Rule::BadFilter, &why);
        }
        if self.fault(Fault::PortalFilterIgnored) {
            conditions.retain(|condition| condition.name == "created");
        }
        let after = match cursor {
            None => None,
            Some(cursor) => match read_cursor(&cursor, &search.filters) {
                Some(after) => Some(after),
                None => {
                    let why = "nextQueryFilters were not followed as given";
                    self.illegal(now_ms, request, Rule::PageTampered, why);
                    return detail(400, "Invalid filters.");
                }
            },
        };
        let limit = self.page_limit(now_ms, request, &search);
        let found = self.found_activities(now_ms, tenant, &search, &conditions);
        let total = found.len() as u64;
        let from = match after {
            Some(after) => found.partition_point(|(place, _)| *place <= after),
            None if search.scan => 0,
            None => usize::try_from(search.skip).unwrap_or(usize::MAX).min(found.len()),
        };
        self.search_page(tenant, &search, &found, from, limit, total)
    }

    /// How many records a page holds: what was asked for, what the tenant is granted, and less
    /// under a fault.
    fn page_limit(&mut self, now_ms: i64, request: &Request, search: &Search) -> u64 {
        let (default, range, granted) = if search.scan {
            (500, SCAN_LIMIT, self.config.scan_page_size)
        } else {
            (100, 1..=LIMIT_MAX, self.config.search_page_size)
        };
        let asked = search.limit.unwrap_or(default);
        if !range.contains(&asked) {
            let why = format!("a limit of {asked} is not within {range:?}");
            self.illegal(now_ms, request, Rule::BadLimit, &why);
        }
        if !search.scan && search.skip + asked > SKIP_MAX {
            let why = format!("skip {} and limit {asked} reach beyond {SKIP_MAX}", search.skip);
            self.illegal(now_ms, request, Rule::BadLimit, &why);
        }
        let limit = asked.clamp(1, *range.end()).min(u64::from(granted)).max(1);
        if self.fault(Fault::PortalShortPage) {
            1 + draw::mix(self.counter, 0x51) % limit
        } else {
            limit
        }
    }

    /// Everything that is found, in the order of the search.
    fn found_activities(
        &self,
        now_ms: i64,
        tenant: usize,
        search: &Search,
        conditions: &[Condition],
    ) -> Vec<((i64, i64, u64), Activity)> {
        let feed = self.tenants[tenant].portal.feed();
        let (from, to) = filter::created_within(conditions);
        let facts = |activity| Facts::of(&feed.identity, activity);
        let happened = |activity| facts(activity).timestamp_ms;
        let interval = |c: &Condition| {
            c.name == "created" && matches!(&*c.operator, "gt" | "gte" | "lt" | "lte")
        };
        let others: Vec<_> = conditions.iter().filter(|c| !interval(c)).collect();
        let mut found: Vec<_> = feed
            .within(from, to, now_ms)
            .filter(|activity| {
                others.is_empty() || {
                    let facts = facts(*activity);
                    others.iter().all(|condition| condition.is_met(&facts, now_ms))
                }
            })
            .map(|activity| (search.place(activity, &happened), activity))
            .collect();
        found.sort_unstable();
        found
    }

    fn search_page(
        &mut self,
        tenant: usize,
        search: &Search,
        found: &[((i64, i64, u64), Activity)],
        from: usize,
        limit: u64,
        total: u64,
    ) -> Answer {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let rest = &found[from..];
        let mut page = &rest[..limit.min(rest.len())];
        let has_next = page.len() < rest.len();
        if has_next && search.scan {
            // The last few may be left for the next page.
            let less = self.pick(6).min(page.len() - 1);
            page = &page[..page.len() - less];
        }
        let empty = has_next && self.fault(Fault::PortalEmptyPage);
        let shown = if empty { &page[..0] } else { page };
        let last =
            if empty { from.checked_sub(1).and_then(|last| found.get(last)) } else { page.last() };
        // It is an estimate, and says so in the documentation.
        let total = total + draw::mix(self.counter, 0x707) % (total / 8 + 2);
        let mut members = vec![format!("\"total\":{total}"), format!("\"hasNext\":{has_next}")];
        let silent = search.scan && has_next && self.fault(Fault::PortalNoNext);
        if let Some((place, _)) = last
            && search.scan
            && has_next
            && !silent
        {
            let mut next = search.filters.clone();
            next[CURSOR] = cursor(*place, &search.filters);
            members.push(format!("\"nextQueryFilters\":{next}"));
        } else if search.scan && has_next && !silent {
            members.push(format!("\"nextQueryFilters\":{}", search.filters));
        }
        let feed = self.tenants[tenant].portal.feed();
        let records: Vec<String> = shown
            .iter()
            .map(|(_, activity)| Facts::of(&feed.identity, *activity).record(&feed.identity))
            .collect();
        // The order of members is nobody's promise.
        let at = self.pick(members.len() + 1);
        members.insert(at, format!("\"data\":[{}]", records.join(",")));
        Answer::blob(Body::bytes(format!("{{{}}}", members.join(",")).into_bytes()))
    }
}

/// Where the next page begins, tied to the filters that it continues.
fn cursor((at, created, key): (i64, i64, u64), filters: &Value) -> Value {
    let mark = xxhash_rust::xxh3::xxh3_64(format!("{at} {created} {key} {filters}").as_bytes());
    json!({"after": [at.to_string(), created.to_string(), key.to_string(), mark.to_string()]})
}

fn read_cursor(given: &Value, filters: &Value) -> Option<(i64, i64, u64)> {
    let part = |index: usize| given["after"][index].as_str();
    let place = (part(0)?.parse().ok()?, part(1)?.parse().ok()?, part(2)?.parse().ok()?);
    (cursor(place, filters) == *given).then_some(place)
}
