//! Edge: what `faregate init` writes: a commented configuration and the first policies.

/// The commented configuration.
pub const STARTER_CONFIG: &str = r#"# Faregate, the fare gate in front of a CloudStack management server.
# Check every change with `faregate check --config FILE` before `faregate serve --config FILE`.

[listen]
gate = "127.0.0.1:8180"   # customers' API calls: http://…/client/api
ops = "127.0.0.1:9180"    # the operators' page and metrics; keep it away from customers
# threads = 1             # one single-threaded runtime and one listener each

[upstream]
url = "http://127.0.0.1:8080/client/api"
# servers = ["http://10.0.0.5:8080/client/api", "http://10.0.0.6:8080/client/api"]  # for several,
#                                      # in place of url; a login session stays with its server
# host = "cloud.example.com"           # the Host header the management server gets; default: url's
# The reading service account: a custom role of type Admin that allows the list commands named in
# docs/operating.md and denies everything else. FAREGATE_READER_KEY and FAREGATE_READER_SECRET win.
reader_key = ""
reader_secret_file = "reader.secret"

[paths]
store = "state"           # ledger.db (money) and facts.db (what can be pulled again)
policies = "policies"     # sellers, customers, price books, prepaid terms
invoices = "invoices"     # where issued documents are written
key_file = "faregate.key" # encrypts customers' secrets at rest; made by `init`, keep it private

[ui]
# enabled = true          # the web interface's files below /client/ pass, by an allow-list
# console = true          # the management server's own console servlet passes too

[commands]
# Commands of your plugins that Faregate does not know are refused until they have a class here:
# myPluginListThings = "read"      # read | lowers | neutral | raises
"#;

/// The first policies, to be adapted: (path below `policies/`, text).
pub const STARTER_POLICIES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../policies/README.md")),
    (
        "customers/examples.toml",
        include_str!("../../policies/customers/examples.toml"),
    ),
    (
        "prepaid/standard.toml",
        include_str!("../../policies/prepaid/standard.toml"),
    ),
    (
        "sellers/house.toml",
        include_str!("../../policies/sellers/house.toml"),
    ),
    (
        "tariffs/2026-01-01-standard.toml",
        include_str!("../../policies/tariffs/2026-01-01-standard.toml"),
    ),
];
