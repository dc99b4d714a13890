//! Edge: the demo's policies and configuration, written into its folder on the first start.

use super::state::{DemoCustomer, DemoState, Folder};
use crate::terms::time::Timestamp;

const SELLER: &str = r#"# Who issues the demo's invoices.
[[seller]]
id = "house"
name = "Example Cloud Ltd"
address = ["1 Sample Street", "10115 Berlin", "Germany"]
vat_id = "DE000000000"
currency = "EUR"
zone = "UTC"
tax_mode = "at-use"
invoice_series = "DEMO"
payment_days = 14
top_up_url = "https://cloud.example.com/top-up"

[[seller.tax]]
profile = "domestic"
group = "standard"
code = "DE.20"
rate = "0.20"
"#;

const PREPAID: &str = r#"# How far ahead prepaid customers pay.
[[prepaid]]
id = "standard"
horizon = "1h"          # a hold and the cover pay for the next hour
worst_delay = "2m"
stop_lead = "15m"
notices = ["72h", "24h", "1h"]
stops = true            # machines are stopped as the cover ends, in the order of their tags
quiet = "0s"            # in earnest: 15 minutes after a start nothing is stopped
restarts = true         # a top-up starts them again
"#;

const BOOK: &str = r#"# Prices of the demo: a small VM (1 vCPU, 1 GiB) runs at 0.36 an hour, net.
[book]
id = "demo"
currency = "EUR"
from = 2020-01-01

[[line]]
id = "vcpu-running"
component = "vcpu"
basis = "running"
price = "0.20"
class = "compute"
text = "vCPU, running"

[[line]]
id = "ram-running"
component = "ram_gib"
basis = "running"
price = "0.16"
class = "compute"
text = "Memory, GiB, running"

[[line]]
id = "volume"
component = "volume_gib"
price = "0.0001"
class = "storage"
text = "Volume, GiB"

[[line]]
id = "source-nat"
component = "public_ip"
match = { source_nat = true }
free = true
class = "network"
text = "Source NAT address"

[[line]]
id = "public-ip"
component = "public_ip"
match = { source_nat = false }
price = "0.005"
class = "network"
text = "Public IP address"

[[line]]
id = "nic"
component = "nic"
free = true
class = "network"
text = "Network interface"

[[line]]
id = "network"
component = "network"
free = true
class = "network"
text = "Network"

[[line]]
id = "snapshot"
component = "snapshot_gib"
price = "0.00005"
class = "storage"
text = "Snapshot, GiB"
"#;

/// The rest of what a call can start: component, net price an hour or `free`, class, text.
const REST: [(&str, &str, &str, &str); 12] = [
    (
        "vm_snapshot_gib",
        "0.00005",
        "storage",
        "Snapshot of a machine, GiB",
    ),
    (
        "vm_snapshot_on_primary_gib",
        "0.0001",
        "storage",
        "Snapshot on primary storage, GiB",
    ),
    ("template_gib", "0.00005", "storage", "Template, GiB"),
    ("iso_gib", "0.00005", "storage", "ISO, GiB"),
    (
        "volume_secondary_gib",
        "0.00005",
        "storage",
        "Uploaded volume, GiB",
    ),
    ("bucket_gib", "0.00002", "storage", "Object storage, GiB"),
    ("backup", "0.003", "storage", "Backup of a machine"),
    ("lb_rule", "0.006", "network", "Load balancer rule"),
    ("vpn_user", "0.002", "network", "VPN user"),
    ("vpc", "0.004", "network", "VPC"),
    ("pf_rule", "free", "network", "Port forwarding rule"),
    ("security_group", "free", "network", "Security group"),
];

fn book() -> String {
    let mut book = BOOK.to_owned();
    for (component, price, class, text) in REST {
        let price = match price {
            "free" => "free = true".to_owned(),
            price => format!("price = \"{price}\""),
        };
        let id = component.replace('_', "-");
        book.push_str(&format!(
            "\n[[line]]\nid = \"{id}\"\ncomponent = \"{component}\"\n{price}\n\
             class = \"{class}\"\ntext = \"{text}\"\n"
        ));
    }
    book
}

/// Writes policies and configuration of a demo that has been seeded.
pub fn write(folder: &Folder, state: &DemoState, born: Timestamp) -> anyhow::Result<()> {
    folder.write("policies/sellers/house.toml", SELLER.as_bytes())?;
    folder.write("policies/prepaid/standard.toml", PREPAID.as_bytes())?;
    folder.write("policies/tariffs/2020-01-01-demo.toml", book().as_bytes())?;
    let customers: Vec<String> = state.customers.iter().map(customer).collect();
    let rest = "# What no customer owns is refused.\n[rest]\npayer = \"refuse\"\n";
    let text = format!("# Made at {born}.\n{}\n{rest}", customers.join("\n"));
    folder.write("policies/customers/demo.toml", text.as_bytes())
}

/// Writes the configuration that `serve` would read for the same cloud.
pub fn write_config(folder: &Folder, state: &DemoState, reader_key: &str) -> anyhow::Result<()> {
    // A folder of an older demo has none.
    let actor = match std::fs::read_to_string(folder.file("actor.key")) {
        Ok(key) => format!("actor_key = \"{key}\"\nactor_secret_file = \"actor.secret\"\n"),
        Err(_) => String::new(),
    };
    let text = format!(
        "# The demo's own configuration; `faregate check --config` reads it too.\n\
         [listen]\ngate = \"127.0.0.1:{}\"\nops = \"127.0.0.1:{}\"\n\n\
         [upstream]\nurl = \"http://127.0.0.1:{}/client/api\"\nreader_key = \"{reader_key}\"\n\
         reader_secret_file = \"reader.secret\"\n{actor}\n\
         [paths]\nbilling_clock = \"billing.clock\"\n",
        state.gate_port, state.ops_port, state.sandbox_port,
    );
    folder.write("faregate.toml", text.as_bytes())
}

fn customer(customer: &DemoCustomer) -> String {
    let DemoCustomer {
        name,
        mode,
        domain_id,
        ..
    } = customer;
    let line = if mode == "postpaid" {
        "credit_line = \"100.00\"\n"
    } else {
        ""
    };
    format!(
        "[[customer]]\nid = \"{name}\"\nname = \"{name}\"\naddress = [\"2 Sample Street\", \
         \"10115 Berlin\", \"Germany\"]\nseller = \"house\"\nmode = \"{mode}\"\n{line}\
         tax = \"domestic\"\nbook = \"demo\"\nprepaid = \"standard\"\n\
         owns = [{{ domain = \"{domain_id}\" }}]\n"
    )
}
