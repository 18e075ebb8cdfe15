//! What was found by checks, for people and for programs: of `doctor` and of `check`.

use m365_audit_core::call::CallError;
use m365_audit_core::one_line;
use serde_json::{Value, json};

use crate::calls::table::{paragraph_beside, table};
use crate::names::heading;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// It works, or may work; somebody should look at it.
    Warn,
    /// It could not be checked, so that nobody knows.
    Unknown,
    /// It does not work.
    Fail,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "not checked",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at: a stable name.
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    /// What was found.
    pub(crate) detail: String,
    /// What to do; empty if nothing.
    pub(crate) remedy: String,
}

/// All checks of one thing, in the order in which they depend on each other.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What kind of thing it is: a tenant, a section, a file.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// What it is called in a row.
    pub(crate) title: String,
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(tenant: String) -> Self {
        Self::of("tenant", tenant)
    }

    pub(crate) fn of(kind: &'static str, name: String) -> Self {
        Self { kind, title: name.clone(), name, findings: Vec::new() }
    }

    /// About a tenant, in headings and in rows.
    pub(crate) fn about(name: Option<&str>, id: &str) -> Self {
        Self { title: name.unwrap_or(id).to_owned(), ..Self::new(heading(name, id)) }
    }

    pub(crate) fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.add(check, Status::Ok, detail, "");
    }

    pub(crate) fn warn(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Warn, detail, remedy);
    }

    pub(crate) fn unknown(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Unknown, detail, remedy);
    }

    /// What cannot be checked because something else has failed.
    pub(crate) fn skip(&mut self, checks: &[&'static str], because: &str) {
        for check in checks {
            self.unknown(check, because, "put that right first, then ask the doctor again");
        }
    }

    pub(crate) fn fail(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Fail, detail, remedy);
    }

    /// A call that failed, `about` something.
    pub(crate) fn fail_call(&mut self, check: &'static str, about: &str, error: &CallError) {
        let code = error.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
        let about = if about.is_empty() { String::new() } else { format!("{about}: ") };
        self.fail(check, format!("{about}{code}{}", error.message), error.remedy.clone());
    }

    fn add(
        &mut self,
        check: &'static str,
        status: Status,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (detail, remedy) = (detail.into(), remedy.into());
        self.findings.push(Finding { check, status, detail, remedy });
    }

    /// The worst of all.
    pub(crate) fn status(&self) -> Status {
        self.findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
    }

    /// How bad it is: the worst status, and how many checks ended so.
    pub(crate) fn gravity(&self) -> (Status, usize) {
        let worst = self.status();
        let of = |finding: &&Finding| finding.status == worst;
        (worst, if worst == Status::Ok { 0 } else { self.findings.iter().filter(of).count() })
    }

    /// The first check that ended worst, if that is worse than well. What depends on it comes
    /// later.
    fn worst(&self) -> Option<&Finding> {
        let worst = Some(self.status()).filter(|worst| *worst != Status::Ok)?;
        self.findings.iter().find(|finding| finding.status == worst)
    }

    pub(crate) fn as_short_json(&self) -> Value {
        let (status, count) = self.gravity();
        let worst = self.worst();
        json!({
            self.kind: self.name,
            "status": status.word(),
            "count": count,
            "check": worst.map(|finding| finding.check),
            "detail": worst.map(|finding| &finding.detail),
            "remedy": worst.map(|finding| &finding.remedy).filter(|remedy| !remedy.is_empty()),
        })
    }

    pub(crate) fn as_json(&self) -> Value {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "check": finding.check,
                "status": finding.status.word(),
                "detail": finding.detail,
                "remedy": Some(&finding.remedy).filter(|remedy| !remedy.is_empty()),
            })
        });
        json!({
            self.kind: self.name,
            "status": self.status().word(),
            "checks": findings.collect::<Vec<_>>(),
        })
    }

    pub(crate) fn as_text(&self) -> String {
        const INDENT: &str = "                            ";
        let mut text = format!("{} {}\n", self.kind, self.name);
        for finding in &self.findings {
            let mut words = finding.detail.clone();
            if !finding.remedy.is_empty() {
                words.push_str(" -> ");
                words.push_str(&finding.remedy);
            }
            let words = paragraph_beside(INDENT.len(), &one_line(&words));
            let words = words.trim_end().replace('\n', &format!("\n{INDENT}"));
            text.push_str(&format!(
                "  {:11}  {:12} {words}\n",
                finding.status.word(),
                finding.check
            ));
        }
        let count = |status: Status| {
            self.findings.iter().filter(|finding| finding.status == status).count()
        };
        let (fails, unknown) = (count(Status::Fail), count(Status::Unknown));
        let warns = count(Status::Warn);
        if (fails, unknown, warns) == (0, 0, 0) {
            text.push_str("all is well\n");
            return text;
        }
        let failures = match fails {
            0 => "no failures".to_owned(),
            1 => "1 failure".to_owned(),
            _ => format!("{fails} failures"),
        };
        let warnings = if warns == 1 { "warning" } else { "warnings" };
        text.push_str(&failures);
        if 0 < unknown {
            text.push_str(&format!(", {unknown} not checked"));
        }
        text.push_str(&format!(", {warns} {warnings}\n"));
        text
    }
}

/// One line a tenant, and how many there are of each kind.
pub(crate) fn short(reports: &[Report]) -> String {
    let row = |report: &Report| {
        let words = report.worst().map_or_else(String::new, |finding| {
            let arrow = if finding.remedy.is_empty() { "" } else { " -> " };
            format!("{}: {}{arrow}{}", finding.check, finding.detail, finding.remedy)
        });
        vec![report.status().word().to_owned(), report.title.clone(), words]
    };
    let rows: Vec<_> = reports.iter().map(row).collect();
    let count = |status| reports.iter().filter(|report| report.status() == status).count();
    format!(
        "{}{} tenants: {} fail, {} not checked, {} warn, {} ok\n",
        table(&["STATUS", "TENANT", "WHAT IS WRONG MOST"], &rows),
        reports.len(),
        count(Status::Fail),
        count(Status::Unknown),
        count(Status::Warn),
        count(Status::Ok)
    )
}
