//! Microsoft's clouds.

/// One of Microsoft's clouds, as a plan names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// The word for it in the option `cloud`.
    pub name: &'static str,
    /// The authority that signs in.
    pub login_url: &'static str,
    /// The API, and the resource that tokens are asked for.
    pub api_url: &'static str,
    /// The audience of tokens for workload identity federation.
    pub federated_audience: &'static str,
}

const fn cloud(
    name: &'static str,
    login_url: &'static str,
    api_url: &'static str,
    federated_audience: &'static str,
) -> Cloud {
    Cloud { name, login_url, api_url, federated_audience }
}

/// All clouds. Microsoft's reference names all API hosts but China's, which is known from the field
/// only; the authorities are those of Entra's national clouds.
pub const CLOUDS: [Cloud; 5] = [
    cloud(
        "enterprise",
        "https://login.microsoftonline.com",
        "https://manage.office.com",
        "api://AzureADTokenExchange",
    ),
    cloud(
        "gcc",
        "https://login.microsoftonline.com",
        "https://manage-gcc.office.com",
        "api://AzureADTokenExchange",
    ),
    cloud(
        "gcc-high",
        "https://login.microsoftonline.us",
        "https://manage.office365.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    cloud(
        "dod",
        "https://login.microsoftonline.us",
        "https://manage.protection.apps.mil",
        "api://AzureADTokenExchangeUSGov",
    ),
    cloud(
        "china",
        "https://login.partner.microsoftonline.cn",
        "https://manage.office365.cn",
        "api://AzureADTokenExchangeChina",
    ),
];
