//! Pure: a file of facts: rows of CloudStack's lists as its API answers them, and what payers have.
//!
//! In TOML `[[serviceoffering]]`, in JSON `{"serviceoffering": [{…}]}` or an answer of CloudStack
//! as a client printed it. The rows answer the list commands that a call is judged by.

use crate::cloudstack::envelope::escape_xml;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::policy::check::PolicyFault;
use crate::terms::money::Micros;
use serde_json::Value;

/// List commands that a call is judged by, and the items of their answers.
const LISTS: [(&str, &str); 35] = [
    ("listvirtualmachines", "virtualmachine"),
    ("listvolumes", "volume"),
    ("listnetworks", "network"),
    ("listpublicipaddresses", "publicipaddress"),
    ("listsnapshots", "snapshot"),
    ("listvmsnapshot", "vmSnapshot"),
    ("listvpcs", "vpc"),
    ("listtemplates", "template"),
    ("listisos", "iso"),
    ("listbackups", "backup"),
    ("listsharedfilesystems", "sharedfilesystem"),
    ("listkubernetesclusters", "kubernetescluster"),
    ("listloadbalancerrules", "loadbalancerrule"),
    ("listportforwardingrules", "portforwardingrule"),
    ("listautoscalevmgroups", "autoscalevmgroup"),
    ("listautoscalevmprofiles", "autoscalevmprofile"),
    ("listbuckets", "bucket"),
    ("listusers", "user"),
    ("listaccounts", "account"),
    ("listdomains", "domain"),
    ("listprojects", "project"),
    ("listprojectaccounts", "projectaccount"),
    ("listserviceofferings", "serviceoffering"),
    ("listdiskofferings", "diskoffering"),
    ("listnetworkofferings", "networkoffering"),
    ("listvpcofferings", "vpcoffering"),
    ("listbackupofferings", "backupoffering"),
    ("listvlanipranges", "vlaniprange"),
    ("listvpnusers", "vpnuser"),
    ("listunmanagedinstances", "unmanagedinstance"),
    ("listvolumesforimport", "volumeforimport"),
    ("listconfigurations", "configuration"),
    ("listzones", "zone"),
    ("listvmschedule", "vmschedule"),
    (
        "listkubernetessupportedversions",
        "kubernetessupportedversion",
    ),
];

/// Parameters that say how to list, not what.
const HOW: [&str; 13] = [
    "command",
    "apikey",
    "response",
    "signatureversion",
    "expires",
    "signature",
    "page",
    "pagesize",
    "listall",
    "details",
    "templatefilter",
    "isofilter",
    "clusterid",
];

/// What a payer has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Money {
    /// His id in the policies.
    pub payer: String,
    /// Of the wallet.
    pub available: Micros,
    /// Gift credit, net.
    pub gift: Micros,
}

/// What the files say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FactsFile {
    rows: Vec<Node>,
    /// Balances.
    pub money: Vec<Money>,
}

impl FactsFile {
    /// Reads one more file, TOML or, where its name ends so, JSON.
    ///
    /// # Errors
    /// [`PolicyFault`] for what is no list of rows, or a row that nothing can be found by.
    pub fn read(&mut self, path: &str, text: &str) -> Result<(), PolicyFault> {
        let fault = |line: usize, what: String, instead: &str| PolicyFault {
            file: path.to_owned(),
            line,
            what,
            instead: instead.to_owned(),
        };
        let value: Value = if path.to_ascii_lowercase().ends_with(".json") {
            serde_json::from_str(text).map_err(|error| {
                let instead = "write JSON: {\"zone\": [{\"id\": \"…\"}]}";
                fault(error.line(), error.to_string(), instead)
            })?
        } else {
            toml::from_str(text).map_err(|error: toml::de::Error| {
                let offset = error.span().map_or(0, |span| span.start);
                let instead = "write TOML: [[zone]] and below it id = \"…\"";
                fault(line_of(text, offset), error.message().to_owned(), instead)
            })?
        };
        for (kind, rows) in lists(&value) {
            let offset = text.find(kind).unwrap_or(0);
            let told =
                |(what, instead): (String, String)| fault(line_of(text, offset), what, &instead);
            let Value::Array(rows) = rows else {
                let instead = format!("write [[{kind}]] and below it id = \"…\"");
                return Err(told((format!("`{kind}` is no list of rows"), instead)));
            };
            for row in rows {
                self.row(kind, row).map_err(told)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, kind: &str, row: &Value) -> Result<(), (String, String)> {
        if kind == "payer" {
            self.money.push(money(row)?);
            return Ok(());
        }
        let known = LISTS
            .iter()
            .find(|(_, item)| item.eq_ignore_ascii_case(kind));
        let Some((_, item)) = known else {
            let kinds: Vec<&str> = LISTS.iter().map(|(_, item)| *item).collect();
            let instead = format!("write payer or one of {}", kinds.join(", "));
            return Err((format!("CloudStack lists no `{kind}`"), instead));
        };
        let node = Node::from_json(item, row);
        for field in needed(item) {
            if node.text_of(field).is_none_or(str::is_empty) {
                let what = format!("a row of `{kind}` has no `{field}`");
                let instead = format!("write {field} as list commands of CloudStack show it");
                return Err((what, instead));
            }
        }
        self.rows.push(node);
        Ok(())
    }

    /// The domains that accounts, users and projects name and no row of `domain` is for: nobody
    /// could say who pays for them.
    #[must_use]
    pub fn domains_missing(&self) -> Vec<String> {
        let known = |id: &str| self.of("domain").any(|row| row.text_of("id") == Some(id));
        let named = self.rows.iter().flat_map(|row| {
            let named = match row.name.as_str() {
                "account" | "user" | "project" => row.text_of("domainid"),
                "domain" => row.text_of("parentdomainid"),
                _ => None,
            };
            named.map(str::to_owned)
        });
        let mut missing: Vec<String> = named.filter(|id| !known(id)).collect();
        missing.sort();
        missing.dedup();
        missing
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Node> {
        self.rows.iter().filter(move |row| row.name == kind)
    }

    /// Answers a call of the reading service account in XML, with HTTP's status.
    #[must_use]
    pub fn answer(&self, params: &ParamMap) -> (u16, String) {
        let command = params.command().to_ascii_lowercase();
        let inside = match command.as_str() {
            "getuser" => {
                let key = params.get("userapikey").unwrap_or_default();
                let user = |row: &&Node| row.text_of("apikey") == Some(key);
                match self.of("user").find(user) {
                    Some(user) => xml(&completed(user)),
                    None => return refused(&command, 431, "no user of the facts has this key"),
                }
            }
            // No secret is needed to ask what would happen, so the file holds none.
            "getuserkeys" => "<userkeys><secretkey></secretkey></userkeys>".to_owned(),
            _ => match LISTS.iter().find(|(list, _)| *list == command) {
                Some((_, item)) => {
                    let rows = self.of(item).filter(|row| fits(row, params));
                    rows.map(|row| xml(&completed(row))).collect()
                }
                None => return refused(&command, 432, "the facts do not answer this command"),
            },
        };
        let wrapper = format!("{command}response");
        (200, format!("<{wrapper}>{inside}</{wrapper}>"))
    }
}

/// The lists of a file; an answer as clients print it is opened.
fn lists(value: &Value) -> Vec<(&str, &Value)> {
    let Value::Object(fields) = value else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, inside) in fields {
        match inside {
            Value::Number(_) if name == "count" => {}
            Value::Object(_) if name.ends_with("response") => found.extend(lists(inside)),
            _ => found.push((name.as_str(), inside)),
        }
    }
    found
}

/// Without these a row is not found, or nobody can say whose it is.
fn needed(item: &str) -> &'static [&'static str] {
    match item {
        "configuration" => &["name", "value"],
        "user" => &["id", "apikey", "account", "accountid", "domainid"],
        "account" | "project" => &["id", "name", "domainid"],
        "projectaccount" => &["projectid", "accountid"],
        "unmanagedinstance" => &["name"],
        "volumeforimport" => &["path"],
        _ => &["id"],
    }
}

/// A user or an account is enabled where the row does not say otherwise.
fn completed(row: &Node) -> Node {
    let mut row = row.clone();
    if matches!(row.name.as_str(), "user" | "account") && row.child("state").is_none() {
        row.children.push(Node::leaf("state", "enabled"));
    }
    row
}

/// Whether a row has what is asked for, itself or in one of its NICs.
fn fits(row: &Node, params: &ParamMap) -> bool {
    params.iter().all(|(name, param)| {
        let wanted = param.value.as_str();
        if HOW.contains(&name) || (name == "projectid" && wanted == "-1") {
            return true;
        }
        let field = if name == "vmsnapshotid" { "id" } else { name };
        let has = |node: &Node| {
            let text = node.text_of(field);
            text.is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        };
        has(row) || row.all("nic").any(has)
    })
}

fn money(row: &Value) -> Result<Money, (String, String)> {
    let instead =
        || "write [[payer]] id = \"…\", available = \"25.00\", gift = \"5.00\"".to_owned();
    let payer = row.get("id").and_then(Value::as_str);
    let payer = payer.ok_or_else(|| ("a row of `payer` has no `id`".to_owned(), instead()))?;
    let known = ["id", "available", "gift"];
    let mut fields = row.as_object().into_iter().flat_map(serde_json::Map::keys);
    if let Some(other) = fields.find(|name| !known.contains(&name.as_str())) {
        let what = format!("`{other}` is no field of a payer's money");
        return Err((what, instead()));
    }
    let amount = |field: &str| match row.get(field) {
        None => Ok(Micros::ZERO),
        Some(Value::String(text)) => text
            .parse()
            .map_err(|_| (format!("`{text}` is no amount"), instead())),
        Some(other) => Err((format!("`{field}` is {other}, not in quotes"), instead())),
    };
    Ok(Money {
        payer: payer.to_owned(),
        available: amount("available")?,
        gift: amount("gift")?,
    })
}

fn refused(command: &str, code: u16, text: &str) -> (u16, String) {
    let inside = format!("<errorcode>{code}</errorcode><errortext>{text}</errortext>");
    (
        code,
        format!("<{command}response>{inside}</{command}response>"),
    )
}

fn xml(node: &Node) -> String {
    let inside: String = match node.children.is_empty() {
        true => escape_xml(&node.text),
        false => node.children.iter().map(xml).collect(),
    };
    format!("<{0}>{inside}</{0}>", node.name)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or("");
    before.matches('\n').count().saturating_add(1)
}
