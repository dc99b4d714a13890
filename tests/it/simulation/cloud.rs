//! Edge: the cloud that every seed starts with: two customers, their networks, a reading account.

use faregate::cloudstack::query::ParamMap;
use faregate::policy;
use faregate::policy::customer::RuleSet;
use faregate::sandbox::call::{Call, Caller, Reply};
use faregate::sandbox::catalogue::catalogue;
use faregate::sandbox::cloud::{Cloud, Moment};
use faregate::sandbox::{commands, fixed, seed};
use faregate::terms::ids::PayerId;
use serde_json::Value;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

/// 2026-09-01 10:00 UTC.
pub const START: i64 = 1_788_256_800;
/// 1 vCPU, 1 GiB.
pub const SMALL: &str = "7ec359c5-e408-4df1-b966-790081c181fc";
/// 5 GB.
pub const DISK: &str = "d4ff56d1-b0f4-4a87-839f-622c944ecbcd";
/// Isolated networks with a source NAT address.
const ISOLATED: &str = "8ad1591d-55af-44ca-8f97-8ae7ab800625";

/// Who calls.
#[derive(Clone, Debug)]
pub struct Customer {
    pub payer: PayerId,
    pub key: String,
    pub secret: String,
    pub account: String,
    pub network: String,
}

/// The same for every seed; made once.
pub struct Base {
    pub cloud: Cloud,
    pub customers: Vec<Customer>,
    pub reader: (String, String),
    pub admin: Caller,
    pub rules: Arc<RuleSet>,
}

pub fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(make)
}

fn make() -> Base {
    let drawn = Cell::new(0_u128);
    let fresh = || {
        drawn.set(drawn.get() + 1);
        let bits = drawn
            .get()
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        uuid::Builder::from_random_bytes(bits.to_be_bytes())
            .into_uuid()
            .to_string()
    };
    let moment = Moment {
        now: START,
        fresh: &fresh,
    };
    let mut cloud = seed::cloud(moment);
    let root = cloud.users.iter().next().unwrap().id.clone();
    let admin = Caller::of_user(&cloud, &root).unwrap();
    let run = |cloud: &mut Cloud, words: &[(&str, &str)]| direct(cloud, &admin, moment, words);
    let account = |cloud: &mut Cloud, name: &str, domain: &str, kind: &str| {
        let words = [
            ("command", "createAccount"),
            ("accounttype", kind),
            ("username", name),
            ("account", name),
            ("firstname", "A"),
            ("lastname", "B"),
            ("email", "a@example.com"),
            ("password", "of-a-simulation"),
            ("domainid", domain),
        ];
        let made = run(cloud, &words);
        let account = text(&made["account"]["id"]);
        let user = text(&made["account"]["user"][0]["id"]);
        let keys = run(cloud, &[("command", "registerUserKeys"), ("id", &user)]);
        let keys = &keys["userkeys"];
        (account, text(&keys["apikey"]), text(&keys["secretkey"]))
    };
    let domain = admin.domain.clone();
    let (_, key, secret) = account(&mut cloud, "reader", &domain, "1");
    let mut customers = Vec::new();
    let mut domains = Vec::new();
    for name in ["paula", "pete"] {
        let made = run(&mut cloud, &[("command", "createDomain"), ("name", name)]);
        let domain = text(&made["domain"]["id"]);
        let (id, key, secret) = account(&mut cloud, name, &domain, "0");
        let words = [
            ("command", "createNetwork"),
            ("name", "n"),
            ("displaytext", "n"),
            ("zoneid", fixed::zone_id()),
            ("networkofferingid", ISOLATED),
            ("account", name),
            ("domainid", &domain),
        ];
        let network = text(&run(&mut cloud, &words)["network"]["id"]);
        customers.push(Customer {
            payer: name.into(),
            key,
            secret,
            account: id,
            network,
        });
        domains.push(domain);
    }
    Base {
        cloud,
        customers,
        reader: (key, secret),
        admin,
        rules: Arc::new(rules(&domains)),
    }
}

/// A call by an administrator, behind the gate's back; a job is done at once.
pub fn direct(
    cloud: &mut Cloud,
    admin: &Caller,
    moment: Moment<'_>,
    words: &[(&str, &str)],
) -> Value {
    let mut params = ParamMap::default();
    words
        .iter()
        .for_each(|(name, value)| params.insert(name, value));
    let command = catalogue().find(params.command()).unwrap();
    let call = Call {
        command,
        params: &params,
        caller: admin,
        moment,
    };
    match commands::run(cloud, &call) {
        Ok(Reply::Now(inside)) => inside,
        Ok(Reply::Job { instance, work, .. }) => {
            let job = commands::job::begin(cloud, &call, instance, work, None).unwrap();
            faregate::sandbox::finish::started(cloud, &job, moment);
            faregate::sandbox::finish::complete(cloud, &job, moment);
            Value::Null
        }
        Err(refused) => panic!("{words:?}: {:?}", refused.error),
    }
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

fn rules(domains: &[String]) -> RuleSet {
    let customers = include_str!("customers.toml");
    let customers = customers
        .replace("{paula}", &domains[0])
        .replace("{pete}", &domains[1]);
    let files = [
        ("book.toml", include_str!("book.toml").to_owned()),
        ("customers.toml", customers),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text));
    policy::check::load(&files).unwrap()
}
