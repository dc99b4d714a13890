//! Edge: customers: they sign, call, wait or hang up, and ask again where no answer came.

use super::cloud::{Customer, DISK, SMALL};
use super::invariants;
use super::world::{Point, World};
use bytes::Bytes;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use faregate::gate::line::{self, Slot};
use faregate::sandbox::fixed;
use http_body_util::BodyExt;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Something that a customer does.
#[derive(Clone, Debug)]
pub enum Wish {
    Deploy,
    Start(String),
    Stop(String),
    Destroy(String),
    Volume,
    Look,
}

impl Wish {
    fn words(&self, customer: &Customer, number: u64) -> Vec<(&'static str, String)> {
        let own = |text: &str| text.to_owned();
        match self {
            Self::Deploy => vec![
                ("command", own("deployVirtualMachine")),
                ("zoneid", own(fixed::zone_id())),
                ("templateid", own(fixed::template_id())),
                ("serviceofferingid", own(SMALL)),
                ("networkids", customer.network.clone()),
                ("name", format!("vm-{number}")),
            ],
            Self::Start(id) => vec![("command", own("startVirtualMachine")), ("id", id.clone())],
            Self::Stop(id) => vec![("command", own("stopVirtualMachine")), ("id", id.clone())],
            Self::Destroy(id) => vec![
                ("command", own("destroyVirtualMachine")),
                ("id", id.clone()),
            ],
            Self::Volume => vec![
                ("command", own("createVolume")),
                ("zoneid", own(fixed::zone_id())),
                ("diskofferingid", own(DISK)),
                ("name", format!("volume-{number}")),
            ],
            Self::Look => vec![("command", own("listVirtualMachines"))],
        }
    }
}

fn signed(customer: &Customer, words: &[(&'static str, String)]) -> String {
    let mut map = ParamMap::default();
    words
        .iter()
        .for_each(|(name, value)| map.insert(name, value));
    map.insert("response", "json");
    map.insert("apiKey", &customer.key);
    let signature = signature::sign(&map, customer.secret.as_bytes());
    map.insert("signature", &signature);
    map.to_wire()
}

/// A customer's call, sent again once or twice where no answer came, as Go's client does.
pub async fn call(world: Arc<World>, customer: usize, wish: Wish, number: u64) {
    let customer = &world.base.customers[customer];
    let query = signed(customer, &wish.words(customer, number));
    world.note(format!("call {number} of {}: {wish:?}", customer.payer));
    for _ in 0..3 {
        let answer = once(&world, &query).await;
        if let Some((status, body)) = answer {
            let heard: String = body.chars().take(160).collect();
            world.note(format!("call {number} is answered {status} {heard}"));
            heed(&world, &wish, status, &body);
            return;
        }
        world.note(format!("call {number} has no answer"));
        world.count("unanswered");
        if world.below(3) != 0 {
            return;
        }
        world.delay(2_000).await;
    }
}

/// One connection, one request; none where it breaks without an answer, or the client hangs up.
async fn once(world: &Arc<World>, query: &str) -> Option<(u16, String)> {
    let node = world.node()?;
    let request = http::Request::get(format!("/client/api?{query}"));
    let head = request.header("Host", "gate").body(()).ok()?.into_parts().0;
    let peer = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 40_000));
    let slot = Slot::default();
    let patience = match world.strikes(30) {
        true => 1 + world.below(200),
        false => 120_000,
    };
    let answered = async {
        let response = line::line(&node.core, head, Bytes::new(), peer, &slot).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let answer = tokio::select! {
        biased;
        () = node.life.died() => None,
        answer = answered => answer,
        () = tokio::time::sleep(Duration::from_millis(patience)) => None,
    };
    // An answer may be lost between the gate and its client.
    let answer = answer.filter(|_| !world.strikes(10))?;
    if let Some(delivery) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
        delivery.done();
    }
    world.may_die(&node.life, Point::K10);
    Some(answer)
}

fn heed(world: &World, wish: &Wish, status: u16, body: &str) {
    world.count(match status {
        200 => "answered 200",
        535 => "answered 535",
        503 => "answered 503",
        _ => "answered otherwise",
    });
    let raising = matches!(wish, Wish::Deploy | Wish::Start(_) | Wish::Volume);
    if status != 200 || !raising {
        return;
    }
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let inside = value
        .as_object()
        .and_then(|wrapper| wrapper.values().next());
    match inside.and_then(|inside| inside["jobid"].as_str()) {
        Some(job) => invariants::told(world, job),
        None => world.broken(format!("33: a raising call was answered 200 with {body}")),
    }
}
