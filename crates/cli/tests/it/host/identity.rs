//! The component signs in as the machine that it runs on. Whom the host lets it ask is tested where
//! the list of those is.

use m365_audit_test_support::needs::component;
use m365_sim::{AppConfig, Guid, IdentityConfig, SimConfig, TenantConfig};

use crate::support::{World, text, world};

fn identified() -> World {
    let mut tenant = TenantConfig::seeded(1, 0);
    let app = tenant.apps[0].client_id;
    tenant.identities = vec![IdentityConfig {
        // A user has assigned it: `client_id` says which it is.
        client_id: app,
        object_id: Guid(app.0 ^ 2),
        resource_id: "/subscriptions/1".into(),
        system: true,
        roles: AppConfig::all_roles(),
    }];
    World::new(SimConfig { tenants: vec![tenant], ..world() })
}

#[test]
fn the_machines_identity_signs_in_without_any_secret() {
    let Some(component) = component() else { return };
    let world = identified();
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("{}/metadata/identity/oauth2/token", world.http_url());
    let mut command = world.host("run", &component);
    command.env_remove("M365_AUDIT_CLIENT_SECRET");
    command.args(["--auth", "managed_identity", "--managed-identity-endpoint", &endpoint]);
    let output = world.collect(&mut command, dir.path());
    let log = text(&output.stderr);
    assert!(log.contains("signing in with the managed identity of client "), "{log}");
}
