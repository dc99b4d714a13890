//! Edge: what `faregate init` writes: a commented configuration and the first policies.

/// The commented configuration.
pub const STARTER_CONFIG: &str = r#"# Faregate, the fare gate in front of a CloudStack management server.
# Check every change with `faregate check --config FILE` before `faregate serve --config FILE`.

[listen]
gate = "127.0.0.1:8180"   # customers' API calls: http://…/client/api
ops = "127.0.0.1:9180"    # the operators' page and metrics; keep it away from customers
# threads = 1             # one single-threaded runtime and one listener each
# metrics = "127.0.0.1:9181"           # figures alone, for a collector
# connections_max = 16384              # over all addresses
# connections_per_address_max = 1024   # of one address, or of one /64 of IPv6
# trusted_proxies = ["10.0.0.0/24"]    # whose X-Forwarded-For is believed
# proxy_protocol = false               # true: they begin with a PROXY protocol v2 header

# [listen.tls]                         # TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1
# gate = "0.0.0.0:8443"
# Chosen by the names that stand in them; the first is for clients that name none. Read again when
# a file changes, and at SIGHUP.
# certificates = [{ chain_file = "cloud.crt", key_file = "cloud.key" }]

[upstream]
url = "http://127.0.0.1:8080/client/api"
# servers = ["http://10.0.0.5:8080/client/api", "http://10.0.0.6:8080/client/api"]  # for several,
#                                      # in place of url; a login session stays with its server
# ca_file = "cloudstack-ca.crt"        # with https:// alone: the one authority that is trusted
# host = "cloud.example.com"           # the Host header the management server gets; default: url's
# The reading service account: a custom role of type Admin that allows the list commands named in
# docs/operating.md and denies everything else. FAREGATE_READER_KEY and FAREGATE_READER_SECRET win.
reader_key = ""
reader_secret_file = "reader.secret"
# The acting service account, needed where a policy stops machines at the end of the money. A role
# of its own, that allows stopVirtualMachine, startVirtualMachine, queryAsyncJobResult and
# listVirtualMachines alone (destroyVirtualMachine with `delete_after`). FAREGATE_ACTOR_KEY and
# FAREGATE_ACTOR_SECRET win.
# actor_key = ""
# actor_secret_file = "actor.secret"

# [notices]                            # how customers are told; addresses are in policies/customers
# smtp_url = "smtp://mail.example:25"  # smtps:// for TLS; with a password: FAREGATE_SMTP_URL
# mail_from = "Example Cloud <billing@cloud.example>"
# webhook_secret_file = "webhook.secret"  # customers' signing keys are made of it

[paths]
store = "state"           # ledger.db (money) and facts.db (what can be pulled again)
policies = "policies"     # sellers, customers, price books, prepaid terms
invoices = "invoices"     # where issued documents are written
key_file = "faregate.key" # encrypts customers' secrets at rest; made by `init`, keep it private

# Books for several nodes, in place of ledger.db and facts.db. FAREGATE_POSTGRES_URL and
# FAREGATE_NODE win.
# [postgres]
# url = "postgres://faregate@10.0.0.9/faregate"
# node = "gate-1"                        # each node's own name

[counters]
# nodes = 3                             # each grants its share of a call limit, unless
# redis = "redis://10.0.0.9:6379/0"     # all count together here; FAREGATE_REDIS_URL wins

# Spans of each call's steps, in a program built with `--features otel`.
# [traces]
# endpoint = "http://127.0.0.1:4318/v1/traces"   # OTLP over HTTP; FAREGATE_TRACES_ENDPOINT wins
# name = "gate-1"                                # this node's, beside others

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
        "limits/examples.toml",
        include_str!("../../policies/limits/examples.toml"),
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
