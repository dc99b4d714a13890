//! Who is billed is who owns, however the caller proved who he is: signature, session by GET or
//! POST, both at once; for himself, for an account below him, for a project.

use crate::browser::Browser;
use crate::stage::{Caller, Heard, Stage, address_of, exchange, until};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use serde_json::Value;

const PAULA: &str = "prepaid-paula";
const PETE: &str = "postpaid-pete";

/// Names and values.
type Params<'p> = Vec<(&'p str, &'p str)>;

/// How a caller proves who he is.
enum Proof {
    Signed(Caller),
    Session(Browser),
    SessionForm(Browser),
    /// A signature beside the live cookies and the session key of somebody else.
    Both(Caller, Browser),
}

impl Proof {
    fn call(&mut self, command: &str, params: &[(&str, &str)]) -> Heard {
        match self {
            Self::Signed(caller) => caller.call(command, params).unwrap(),
            Self::Session(browser) => browser.call(command, params),
            Self::SessionForm(browser) => {
                let key = browser.key.clone();
                let mut all = vec![
                    ("command", command),
                    ("response", "json"),
                    ("sessionkey", &key),
                ];
                all.extend_from_slice(params);
                browser.post(&all)
            }
            Self::Both(caller, browser) => {
                let mut map = ParamMap::default();
                let own = [
                    ("command", command),
                    ("response", "json"),
                    ("apiKey", &caller.key),
                    ("sessionkey", &browser.key),
                ];
                for (name, value) in own.iter().chain(params) {
                    map.insert(name, value);
                }
                let signed = signature::sign(&map, caller.secret.as_bytes());
                map.insert("signature", &signed);
                browser.raw("GET", &format!("/client/api?{}", map.to_wire()), "")
            }
        }
    }
}

/// A demo with a domain admin above paula's account, and a project of hers.
struct Cast {
    stage: Stage,
    offering: String,
    zone: String,
    domains: [String; 2],
    project: String,
    admin: Caller,
}

fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}

impl Cast {
    fn new(name: &str) -> Self {
        let stage = Stage::start(name, &[]);
        let root = stage.admin();
        let inside = |command: &str, params: &[(&str, &str)]| {
            let heard = root.call(command, params).unwrap();
            assert_eq!(heard.status, 200, "{command}: {heard:?}");
            heard.inside()
        };
        let offerings = inside("listDiskOfferings", &[]);
        let fixed = offerings["diskoffering"].as_array().unwrap().iter();
        let fixed = fixed.filter(|offering| offering["iscustomized"] == false);
        let offering = text(fixed.clone().next().unwrap(), "/id");
        let accounts = [PAULA, PETE].map(|name| {
            let asked = [("name", name), ("listall", "true")];
            inside("listAccounts", &asked)
        });
        let domains = accounts.map(|found| text(&found, "/account/0/domainid"));
        let made = inside(
            "createAccount",
            &[
                ("accounttype", "2"),
                ("username", "ada"),
                ("account", "ada"),
                ("firstname", "Ada"),
                ("lastname", "Admin"),
                ("email", "ada@example.com"),
                ("password", "demo-password"),
                ("domainid", &domains[0]),
            ],
        );
        let user = text(&made, "/account/user/0/id");
        let keys = inside("registerUserKeys", &[("id", &user)]);
        let admin = Caller {
            endpoint: stage.text("/endpoint"),
            key: text(&keys, "/userkeys/apikey"),
            secret: text(&keys, "/userkeys/secretkey"),
        };
        let direct = Caller {
            endpoint: root.endpoint.clone(),
            ..stage.customer(0)
        };
        let asked = [("name", "paulas-project"), ("displaytext", "p")];
        let made = direct.call("createProject", &asked).unwrap();
        let project = text(&made.inside(), "/id");
        assert_eq!(direct.job_end(&text(&made.inside(), "/jobid")), 1);
        let zone = stage.text("/zone_id");
        Self {
            stage,
            offering,
            zone,
            domains,
            project,
            admin,
        }
    }

    fn signed(&self, customer: usize) -> Proof {
        Proof::Signed(self.stage.customer(customer))
    }

    fn browser(&self, user: &str) -> Browser {
        Browser::login(&self.stage.text("/endpoint"), user)
    }

    /// The domain admin's session: his user stands in paula's domain.
    fn ada(&self) -> Browser {
        self.login("ada", "demo-password", PAULA)
    }

    fn login(&self, user: &str, password: &str, domain: &str) -> Browser {
        let mut browser = Browser::new(&self.stage.text("/endpoint"));
        let heard = browser.post(&[
            ("command", "login"),
            ("response", "json"),
            ("username", user),
            ("password", password),
            ("domain", domain),
        ]);
        assert_eq!(heard.status, 200, "{heard:?}");
        browser.key = text(&heard.inside(), "/sessionkey");
        browser
    }

    /// Makes a volume; gives its id where that was let through.
    fn volume(&self, proof: &mut Proof, whose: &[(&str, &str)]) -> Result<String, Heard> {
        let mut params = vec![
            ("name", "matrix"),
            ("diskofferingid", self.offering.as_str()),
            ("zoneid", self.zone.as_str()),
        ];
        params.extend_from_slice(whose);
        let heard = proof.call("createVolume", &params);
        if heard.status == 200 {
            Ok(text(&heard.inside(), "/id"))
        } else {
            Err(heard)
        }
    }

    /// The volume's owner, as the sandbox says: an account, or a project's name.
    fn owner(&self, id: &str) -> String {
        let asked = [("id", id), ("listall", "true"), ("projectid", "-1")];
        let heard = self.stage.admin().call("listVolumes", &asked).unwrap();
        let list = heard.inside();
        let row = &list["volume"][0];
        let owner = row["account"].as_str().or(row["project"].as_str());
        owner.unwrap_or_else(|| panic!("{list}")).to_owned()
    }

    /// Who pays for it, as the operators' page says.
    fn payer(&self, id: &str) -> String {
        let address = address_of(&self.stage.text("/operator_page"));
        let mut payer = String::new();
        until("the volume is metered", || {
            let request = format!(
                "GET /meters.json?page=1&search={id} HTTP/1.1\r\nHost: {address}\r\nConnection: \
                 close\r\n\r\n"
            );
            let heard = exchange(&address, &request).unwrap();
            let page: Value = serde_json::from_str(&heard.body).unwrap();
            let text = page.to_string();
            let found = [PAULA, PETE]
                .iter()
                .find(|name| text.contains(&format!("\"payer\":\"{name}\"")));
            payer = found.map(|name| (*name).to_owned()).unwrap_or_default();
            !payer.is_empty()
        });
        payer
    }
}

#[test]
fn the_billed_payer_is_the_owner_whatever_proved_the_caller() {
    let cast = Cast::new("payer-matrix");
    let [home, away] = [cast.domains[0].as_str(), cast.domains[1].as_str()];
    let project = cast.project.as_str();
    let (none, upper) = (
        vec![],
        vec![("account", "PREPAID-PAULA"), ("domainid", home)],
    );
    let (for_paula, for_pete) = (
        vec![("account", PAULA), ("domainid", home)],
        vec![("account", PETE), ("domainid", away)],
    );
    let (in_project, in_project_case) =
        (vec![("projectid", project)], vec![("projectId", project)]);
    let root = || Proof::Session(cast.login("admin", "password", ""));
    let rows: Vec<(&str, Proof, &Params<'_>, &str, &str)> = vec![
        ("signed", cast.signed(0), &none, PAULA, PAULA),
        (
            "session",
            Proof::Session(cast.browser(PAULA)),
            &none,
            PAULA,
            PAULA,
        ),
        (
            "session by POST",
            Proof::SessionForm(cast.browser(PAULA)),
            &none,
            PAULA,
            PAULA,
        ),
        (
            "signed, pete's session",
            Proof::Both(cast.stage.customer(0), cast.browser(PETE)),
            &none,
            PAULA,
            PAULA,
        ),
        (
            "signed by pete, her session",
            Proof::Both(cast.stage.customer(1), cast.browser(PAULA)),
            &none,
            PETE,
            PETE,
        ),
        (
            "pete's session",
            Proof::Session(cast.browser(PETE)),
            &none,
            PETE,
            PETE,
        ),
        (
            "session, own name",
            Proof::Session(cast.browser(PAULA)),
            &for_paula,
            PAULA,
            PAULA,
        ),
        (
            "session, own name in capitals",
            Proof::Session(cast.browser(PAULA)),
            &upper,
            PAULA,
            PAULA,
        ),
        (
            "session, project",
            Proof::Session(cast.browser(PAULA)),
            &in_project,
            "paulas-project",
            PAULA,
        ),
        (
            "POST, projectId",
            Proof::SessionForm(cast.browser(PAULA)),
            &in_project_case,
            "paulas-project",
            PAULA,
        ),
        (
            "signed, project",
            cast.signed(0),
            &in_project,
            "paulas-project",
            PAULA,
        ),
        (
            "domain admin signed, below",
            Proof::Signed(cast.admin.clone()),
            &for_paula,
            PAULA,
            PAULA,
        ),
        (
            "domain admin's session, below",
            Proof::Session(cast.ada()),
            &for_paula,
            PAULA,
            PAULA,
        ),
        (
            "domain admin's session",
            Proof::Session(cast.ada()),
            &none,
            "ada",
            PAULA,
        ),
        ("root's session for pete", root(), &for_pete, PETE, PETE),
        ("root's session for paula", root(), &for_paula, PAULA, PAULA),
    ];
    for (what, mut proof, whose, owner, payer) in rows {
        let id = cast
            .volume(&mut proof, whose)
            .unwrap_or_else(|heard| panic!("{what}: {heard:?}"));
        assert_eq!(cast.owner(&id), owner, "{what}");
        assert_eq!(cast.payer(&id), payer, "{what}");
    }
}

#[test]
fn whoever_may_not_act_for_another_starts_nothing_for_him() {
    let cast = Cast::new("payer-strangers");
    let [home, away] = [cast.domains[0].as_str(), cast.domains[1].as_str()];
    let for_paula = vec![("account", PAULA), ("domainid", home)];
    let for_pete = vec![("account", PETE), ("domainid", away)];
    let in_project = vec![("projectid", cast.project.as_str())];
    let balances = || {
        let told = cast
            .stage
            .faregate(&["ledger", "balances", "--config", &cast.stage.config()]);
        told.lines()
            .find(|line| line.starts_with(PAULA))
            .unwrap()
            .to_owned()
    };
    let (before, none) = (balances(), vec![]);
    let rows: Vec<(&str, Proof, &Params<'_>)> = vec![
        ("pete signed", cast.signed(1), &for_paula),
        (
            "pete's session",
            Proof::Session(cast.browser(PETE)),
            &for_paula,
        ),
        (
            "pete's session, her project",
            Proof::Session(cast.browser(PETE)),
            &in_project,
        ),
        (
            "the domain admin elsewhere",
            Proof::Session(cast.ada()),
            &for_pete,
        ),
        (
            "root for nobody who pays",
            Proof::Session(cast.login("admin", "password", "")),
            &none,
        ),
    ];
    for (what, mut proof, whose) in rows {
        let refused = cast.volume(&mut proof, whose).expect_err(what);
        assert!(refused.status >= 400, "{what}: {refused:?}");
        assert!(!refused.body.contains("balance"), "{what}: {refused:?}");
        assert_eq!(balances(), before, "{what}");
    }
}
