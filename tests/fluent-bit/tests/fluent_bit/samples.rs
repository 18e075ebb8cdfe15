//! Configurations that users copy run as they are, but for what only they know: who they are, and
//! where their folders lie.

use std::fs;
use std::path::Path;
use std::process::Command;

use fluent_bit_plugin_harness::fluent_bit;
use m365_sim::Server;

use crate::pipeline::{history, plugin, secret, serve, tenant};

const SAMPLES: [&str; 4] = [
    // Its first block in YAML, which says that each record is delivered.
    "README.md",
    "plugins/fluent-bit/fluent-bit.yaml",
    "plugins/fluent-bit/fluent-bit.conf",
    "examples/fluent-bit.yaml",
];

/// What stands for the user's own ids.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

#[test]
fn the_configurations_to_copy_collect() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(31));
    for sample in SAMPLES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(sample);
        let mut text = fs::read_to_string(&path).expect(sample);
        let mut name = path.file_name().expect("a name");
        if sample == "README.md" {
            let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
            text = block.expect("a configuration").to_owned();
            name = "fluent-bit.yaml".as_ref();
            let kept = text.contains("storage.path: ") && text.contains("storage.type: filesystem");
            assert!(kept, "records outlive Fluent Bit: {text}");
        }
        assert!(text.contains(NOBODY), "{sample} shows where an id goes");
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join(name);
        fs::write(&copy, adapted(&text, &server, folder.path())).expect("a copy");
        let mut command = Command::new(&executable);
        command.env("M365_AUDIT_CLIENT_SECRET", secret(&tenant(&server, 0)));
        // What Fluent Bit 2.2 reads too has no place for it.
        assert!(
            !text.contains("plugins:"),
            "{sample} can be read by Fluent Bit 3.2 and later only"
        );
        command.arg("-e").arg(plugin()).arg("-c").arg(&copy);
        fluent_bit::run_until(&mut command, "\"CreationTime\"");
    }
    assert!(server.microsoft().report().is_legal());
}

/// A sample with this tenant's ids, this run's folder and the simulator's addresses.
fn adapted(sample: &str, server: &Server, folder: &Path) -> String {
    let tenant = tenant(server, 0);
    let folder = folder.to_str().expect("a temporary folder has a plain name");
    let url = server.http_url();
    let mut text = String::new();
    for line in sample.lines() {
        let key = line.trim_start().split([':', ' ']).next().unwrap_or_default().to_lowercase();
        let id = match key.as_str() {
            "tenant_id" => tenant.id,
            _ => tenant.apps[0].client_id,
        };
        let line = line
            .replace(NOBODY, &id.to_string())
            .replace("/var/lib/fluent-bit", folder)
            .replace("/var/lib/m365-audit", folder)
            .replace("2020", &fluent_bit::free_port().to_string());
        text.push_str(&format!("{line}\n"));
        if key == "client_id" {
            // Spelled as the line before it.
            let (name, _) = line.split_at(line.to_lowercase().find("client_id").expect("its key"));
            let colon = if line.contains(':') { ":" } else { "" };
            for option in ["login_url", "api_url"] {
                text.push_str(&format!("{name}{option}{colon} {url}\n"));
            }
        }
    }
    text
}
