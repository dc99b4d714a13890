//! Edge: what the demo's cloud starts with: a reading service account, two customers, a network
//! for each, made with CloudStack's own calls as the sandbox's administrator.

use super::state::{DemoCustomer, DemoState};
use crate::cloudstack::tree::Node;
use crate::upstream::service::Service;
use anyhow::{Context, bail};

/// Key and secret of an account.
pub struct Pair {
    /// API key.
    pub key: String,
    /// Its secret.
    pub secret: String,
}

/// Fills an empty sandbox; gives the keys of the reading and the acting service account.
pub async fn seed(admin: &Service, state: &mut DemoState) -> anyhow::Result<[Pair; 2]> {
    state.zone_id = first(admin, "listZones", "zone", &[]).await?;
    let asked = [("templatefilter", "executable")];
    state.template_id = first(admin, "listTemplates", "template", &asked).await?;
    state.offerings = offerings(admin).await?;
    let root = first(admin, "listDomains", "domain", &[("name", "ROOT")]).await?;
    let reader = account(admin, "faregate-reader", &root, "1").await?;
    let actor = account(admin, "faregate-actor", &root, "1").await?;
    for (name, mode) in [("prepaid-paula", "prepaid"), ("postpaid-pete", "postpaid")] {
        state
            .customers
            .push(customer(admin, state, name, mode).await?);
    }
    Ok([reader, actor])
}

async fn customer(
    admin: &Service,
    state: &DemoState,
    name: &str,
    mode: &str,
) -> anyhow::Result<DemoCustomer> {
    let made = call(admin, "createDomain", &[("name", name)]).await?;
    let domain_id = id_in(&made, "domain")?;
    let pair = account(admin, name, &domain_id, "0").await?;
    let asked = [
        ("guestiptype", "Isolated"),
        ("supportedservices", "SourceNat"),
    ];
    let offering = first(admin, "listNetworkOfferings", "networkoffering", &asked).await?;
    let asked = [
        ("name", "demo"),
        ("displaytext", "demo"),
        ("zoneid", state.zone_id.as_str()),
        ("networkofferingid", offering.as_str()),
        ("account", name),
        ("domainid", domain_id.as_str()),
    ];
    let network = call(admin, "createNetwork", &asked).await?;
    Ok(DemoCustomer {
        name: name.to_owned(),
        mode: mode.to_owned(),
        api_key: pair.key,
        secret: pair.secret,
        domain_id,
        network_id: id_in(&network, "network")?,
    })
}

async fn account(admin: &Service, name: &str, domain: &str, kind: &str) -> anyhow::Result<Pair> {
    let email = format!("{name}@example.com");
    let asked = [
        ("accounttype", kind),
        ("username", name),
        ("account", name),
        ("firstname", "Demo"),
        ("lastname", name),
        ("email", email.as_str()),
        ("password", "demo-password"),
        ("domainid", domain),
    ];
    let made = call(admin, "createAccount", &asked).await?;
    let user = made
        .child("account")
        .and_then(|account| account.child("user"))
        .and_then(|user| user.text_of("id"))
        .context("createAccount named no user")?;
    let keys = call(admin, "registerUserKeys", &[("id", user)]).await?;
    let text = |field| {
        keys.child("userkeys")
            .and_then(|keys| keys.text_of(field))
            .map(str::to_owned)
            .with_context(|| format!("registerUserKeys gave no {field}"))
    };
    Ok(Pair {
        key: text("apikey")?,
        secret: text("secretkey")?,
    })
}

async fn offerings(admin: &Service) -> anyhow::Result<Vec<(String, String)>> {
    let answer = call(admin, "listServiceOfferings", &[]).await?;
    let named = answer.all("serviceoffering").filter_map(|offering| {
        let name = offering.text_of("name")?.to_lowercase();
        Some((name, offering.text_of("id")?.to_owned()))
    });
    Ok(named.collect())
}

async fn first(
    admin: &Service,
    command: &str,
    item: &str,
    params: &[(&str, &str)],
) -> anyhow::Result<String> {
    id_in(&call(admin, command, params).await?, item).with_context(|| format!("{command} is empty"))
}

async fn call(admin: &Service, command: &str, params: &[(&str, &str)]) -> anyhow::Result<Node> {
    let answer = admin.call(command, params).await?;
    if let Some(error) = answer.error {
        bail!(
            "the sandbox refused {command}: {} {}",
            error.code,
            error.text
        );
    }
    Ok(answer.node)
}

fn id_in(node: &Node, item: &str) -> anyhow::Result<String> {
    node.child(item)
        .and_then(|child| child.text_of("id"))
        .map(str::to_owned)
        .with_context(|| format!("an answer holds no {item}"))
}
