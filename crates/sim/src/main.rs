//! `m365-sim`: the simulator as a program. Reads options, starts the server, says where it is.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use m365_sim::{
    AppConfig, ContentType, Credential, FaultPlan, Guid, IdentityConfig, SimConfig, Span,
};
use m365_sim::{Listen, Server, TenantConfig, issue_certificate};
use serde_json::json;

/// Microsoft's audit service, simulated, to test collectors.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the token endpoints and the Management Activity API on loopback.
    ///
    /// When ready, prints one JSON line with addresses and credentials; ends on SIGTERM or
    /// SIGINT. GET /_sim/owed lists what was published, GET /_sim/report says what was seen.
    Serve(Box<Serve>),
    /// Prints a fault preset as TOML, to start a fault file from.
    Faults {
        /// none, field or hostile.
        #[arg(default_value = "field")]
        preset: String,
    },
}

#[derive(Args)]
struct Serve {
    /// Address for http; port 0 takes any. Loopback only.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
    /// Address for https; port 0 takes any. Loopback only.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen_tls: SocketAddr,
    /// Where to write the certificate of the server's own authority [default: a temporary file].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Days of history, fractions allowed; at most 7 days less an hour is published.
    #[arg(long, default_value_t = 2.0, value_parser = days)]
    days: f64,
    /// Blobs an hour and content type, as N or MIN..MAX.
    #[arg(long, default_value = "1..4", value_parser = span, value_name = "N")]
    blobs_per_hour: Span,
    /// Records in a blob, as N or MIN..MAX.
    #[arg(long, default_value = "3..10", value_parser = span, value_name = "N")]
    records_per_blob: Span,
    /// Bytes of a record, as N or MIN..MAX; small ones are far more frequent.
    #[arg(long, default_value = "500..20000", value_parser = span, value_name = "N")]
    record_bytes: Span,
    /// Share of records of about 1 MB, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    megabyte_records: f64,
    /// One more blob of so many bytes, of the first content type, once per tenant.
    #[arg(long, value_name = "BYTES")]
    blob_bytes: Option<u64>,
    /// Share of records with oddities (missing Id, JSON in strings, ...), 0 to 1. From 0.01 on also
    /// those that a tenant may never see: halves of surrogate pairs, deep nesting.
    #[arg(long, default_value_t = 0.002, value_name = "SHARE", value_parser = share)]
    oddness: f64,
    /// Time that every answer takes.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// Keep publishing after the start.
    #[arg(long)]
    live: bool,
    /// Blobs an hour and content type after the start [default: as --blobs-per-hour].
    #[arg(long, value_parser = span, value_name = "N", requires = "live")]
    live_blobs_per_hour: Option<Span>,
    /// Seconds from a blob's creation until it is listed, as N or MIN..MAX.
    #[arg(long, default_value = "0..60", value_parser = span, value_name = "N")]
    lag_seconds: Span,
    /// Requests a minute, tenant and publisher.
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = at_least_one())]
    quota: u32,
    /// Entries on a page of a listing.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = at_least_one())]
    page_size: u32,
    /// Activities of Defender for Cloud Apps an hour, as N or MIN..MAX.
    #[arg(long, default_value = "0", value_parser = span, value_name = "N")]
    activities_per_hour: Span,
    /// Days of activities, fractions allowed; at most 180.
    #[arg(long, default_value_t = 2.0, value_parser = days)]
    activity_days: f64,
    /// Requests a minute and tenant to the Activities API.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = at_least_one())]
    portal_quota: u32,
    /// Activities on a page; in scan mode see --scan-page-size.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one())]
    search_page_size: u32,
    /// Activities on a page in scan mode.
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = at_least_one())]
    scan_page_size: u32,
    /// Life of a token.
    #[arg(long, default_value_t = 3_599, value_name = "S")]
    token_seconds: u32,
    /// Content types that are published.
    #[arg(long, value_delimiter = ',', default_values_t = ContentType::ALL, value_name = "TYPES")]
    content_types: Vec<ContentType>,
    /// none, field, hostile, or a TOML or JSON file.
    #[arg(long, default_value = "none", value_name = "PRESET|FILE")]
    faults: String,
    /// Tenants, each with an application of its own.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    tenants: u64,
    /// How many of them, the last ones, answer every call with 429 or 500.
    #[arg(long, default_value_t = 0, value_name = "N")]
    noisy_tenants: u64,
    /// Give the first tenant's application a certificate and a federated identity, and write
    /// `certificate.pem` (with its key) and `federated-token` into this directory, which is made.
    #[arg(long, value_name = "DIR")]
    credentials_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Options::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Faults { preset } => print_faults(&preset),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(io::stderr(), "m365-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Serve {
    fn run(self: Box<Self>) -> io::Result<()> {
        let config = SimConfig {
            seed: self.seed,
            tenants: self.tenants()?,
            content_types: self.content_types.clone(),
            days: self.days,
            blobs_per_hour: self.blobs_per_hour,
            live: self.live,
            live_blobs_per_hour: self.live_blobs_per_hour,
            records_per_blob: self.records_per_blob,
            record_bytes: self.record_bytes,
            megabyte_records: self.megabyte_records,
            blob_bytes: self.blob_bytes,
            oddness: self.oddness,
            lag_seconds: self.lag_seconds,
            page_size: self.page_size,
            quota_per_minute: self.quota,
            latency_ms: self.latency_ms,
            token_seconds: self.token_seconds,
            activities_per_hour: self.activities_per_hour,
            activity_days: self.activity_days,
            portal_quota_per_minute: self.portal_quota,
            search_page_size: self.search_page_size,
            scan_page_size: self.scan_page_size,
            faults: read_faults(&self.faults)?,
            ..SimConfig::default()
        };
        let listen =
            Listen { http: self.listen, https: self.listen_tls, ca_file: self.ca_file.clone() };
        let server = Server::start(config, &listen)?;
        let signals = server.catch_signals()?;
        let tenant = server.microsoft().tenants()[0].clone();
        let app = tenant.apps.first();
        self.write_federated_token(&server)?;
        let tenants: Vec<_> = server.microsoft().tenants().iter().map(describe).collect();
        let ready = json!({
            "http": server.http_url(),
            "https": server.https_url(),
            "login_url": server.http_url(),
            "api_url": server.http_url(),
            "portal_url": server.http_url(),
            "portal_token": server.microsoft().portal_token(tenant.id),
            "ca_file": server.ca_file(),
            "tenant_id": tenant.id,
            "client_id": app.map(|app| app.client_id),
            "client_secret": app.and_then(|app| app.secret()),
            "tenants": tenants,
            "content_types": self.content_types,
            "seed": self.seed,
        });
        let mut stdout = io::stdout();
        writeln!(stdout, "{ready}")?;
        stdout.flush()?;
        signals.wait();
        Ok(())
    }
}

impl Serve {
    fn tenants(&self) -> io::Result<Vec<TenantConfig>> {
        let mut tenants: Vec<_> =
            (0..self.tenants).map(|n| TenantConfig::seeded(self.seed, n)).collect();
        for tenant in tenants.iter_mut().rev().zip(0..self.noisy_tenants).map(|(tenant, _)| tenant)
        {
            tenant.noisy = true;
        }
        let first = &mut tenants[0];
        let app = first.apps[0].client_id;
        first.identities.push(IdentityConfig {
            client_id: Guid(app.0 ^ 1),
            object_id: Guid(app.0 ^ 2),
            resource_id: "/subscriptions/sim/userAssignedIdentities/collector".to_owned(),
            system: true,
            roles: AppConfig::all_roles(),
        });
        if let Some(directory) = &self.credentials_dir {
            let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
            let now_ms = i64::try_from(now_ms.as_millis()).map_err(io::Error::other)?;
            let issued = issue_certificate(
                self.seed,
                "m365-audit test",
                now_ms - DAY_MS,
                now_ms + 90 * DAY_MS,
            );
            let pem = format!("{}{}", issued.certificate_pem, issued.key_pem);
            let file = directory.join("certificate.pem");
            std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&file, pem)).map_err(
                |error| {
                    let why = format!("--credentials-dir {}: {error}", directory.display());
                    io::Error::new(error.kind(), why)
                },
            )?;
            let credentials = &mut first.apps[0].credentials;
            credentials.push(Credential::Certificate { pem: issued.certificate_pem });
            credentials.push(Credential::Federated {
                issuer: "https://oidc.sim.example".to_owned(),
                subject: "system:serviceaccount:audit:collector".to_owned(),
                audience: "api://AzureADTokenExchange".to_owned(),
                key: self.seed,
            });
        }
        Ok(tenants)
    }

    fn write_federated_token(&self, server: &Server) -> io::Result<()> {
        let Some(directory) = &self.credentials_dir else { return Ok(()) };
        let mut microsoft = server.microsoft();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        microsoft.advance(i64::try_from(now_ms.as_millis()).map_err(io::Error::other)?);
        let app = microsoft.tenants()[0].apps[0].clone();
        let token = microsoft.federated_token(&app, 86_400).unwrap_or_default();
        std::fs::write(directory.join("federated-token"), token)
    }
}

fn describe(tenant: &TenantConfig) -> serde_json::Value {
    let app = tenant.apps.first();
    json!({
        "tenant_id": tenant.id,
        "client_id": app.map(|app| app.client_id),
        "client_secret": app.and_then(|app| app.secret()),
        "noisy": tenant.noisy,
    })
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A preset, or the contents of a file.
fn read_faults(text: &str) -> io::Result<FaultPlan> {
    match text {
        "none" => return Ok(FaultPlan::none()),
        "field" => return Ok(FaultPlan::field()),
        "hostile" => return Ok(FaultPlan::hostile()),
        _ => {}
    }
    let invalid = |why: String| {
        let why =
            format!("--faults {text}: {why}; use none, field, hostile, or a TOML or JSON file");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    };
    let file = std::fs::read_to_string(text).map_err(|error| invalid(error.to_string()))?;
    if file.trim_start().starts_with('{') {
        serde_json::from_str(&file).map_err(|error| invalid(error.to_string()))
    } else {
        toml::from_str(&file).map_err(|error| invalid(error.to_string()))
    }
}

fn print_faults(preset: &str) -> io::Result<()> {
    let plan = read_faults(preset)?;
    let text = toml::to_string_pretty(&plan).map_err(io::Error::other)?;
    io::stdout().write_all(text.as_bytes())
}

/// `N` or `MIN..MAX`, both inclusive.
fn span(text: &str) -> Result<Span, String> {
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_| format!("{text:?} is no number: use N or MIN..MAX"))
    };
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let span = Span::new(number(min)?, number(max)?);
    if span.min > span.max {
        return Err(format!("{min} is more than {max}"));
    }
    Ok(span)
}

/// A number of days.
fn days(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(days) if days.is_finite() && 0.0 <= days => Ok(days),
        _ => Err(format!("{text:?} is no number of days: use 2 or 0.5")),
    }
}

/// A share of all.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is no share: use a number from 0 to 1")),
    }
}

/// With none of them nothing could ever be had.
fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}
