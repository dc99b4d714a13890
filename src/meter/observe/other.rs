//! Pure: templates, ISOs, and what ends or changes with an owner or by itself.

use super::super::inventory::{ByItself, Fact};
use super::super::resource::{Attributes, Interval};
use super::{Watch, meter};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::{CsAccountId, CsProjectId, ResourceId};

/// Reads the command if it is one of these.
pub(super) fn observe(watch: &mut Watch<'_, '_>, command: &str) -> bool {
    match command {
        "createtemplate" | "registertemplate" => image(watch, "template", UsageType::Template),
        "registeriso" => image(watch, "iso", UsageType::Iso),
        "deletetemplate" | "deleteiso" => image_ended(watch),
        "createbucket" => bucket(watch),
        "deletebucket" => image_ended(watch),
        "deleteaccount" | "disableaccount" => account_ended(watch, command == "disableaccount"),
        "deleteproject" => project_ended(watch),
        "createvmschedule" | "updatevmschedule" => {
            let vm = watch.param_id("virtualmachineid");
            by_itself(watch, ByItself::Schedule, vm);
        }
        "createautoscalevmgroup" => by_itself(watch, ByItself::Autoscale, None),
        _ => return false,
    }
    true
}

fn by_itself(watch: &mut Watch<'_, '_>, why: ByItself, what: Option<ResourceId>) {
    let owner = watch.call.owner.clone();
    watch.learn(Fact::ByItself(why, what, owner));
}

/// Templates and ISOs cost from the second they print as created. Several zones answer with an
/// entry each; the id is the same.
fn image(watch: &mut Watch<'_, '_>, entity: &str, kind: UsageType) {
    let Some(image) = watch.entity(entity).filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = image.text_of("id").map(ResourceId::from) else {
        return;
    };
    let attributes = image_attributes(&image);
    let start = watch.printed(Some(&image), "created", watch.first());
    let owner = watch.owner_of(&image);
    watch.open(meter(kind, &id), owner, attributes, start);
}

/// The physical size where it is told: only that makes the usage server count a template.
fn image_attributes(image: &Node) -> Attributes {
    Attributes {
        name: image.text_of("name").unwrap_or_default().to_owned(),
        zone: image.text_of("zoneid").map(str::to_owned),
        size_bytes: image.number_of("physicalsize"),
        count: 1,
        ..Attributes::default()
    }
}

/// A bucket is metered from the call on, at nothing until a list shows its size.
fn bucket(watch: &mut Watch<'_, '_>) {
    let Some(bucket) = watch.entity("bucket").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = bucket.text_of("id").map(ResourceId::from) else {
        return;
    };
    let attributes = Attributes {
        name: bucket.text_of("name").unwrap_or_default().to_owned(),
        size_bytes: Some(bucket.number_of("size").unwrap_or(0)),
        count: 1,
        ..Attributes::default()
    };
    let start = watch.printed(Some(&bucket), "created", watch.first());
    let owner = watch.owner_of(&bucket);
    watch.open(meter(UsageType::Bucket, &id), owner, attributes, start);
}

/// The deletion of an image counts from the call, though its job runs on for seconds.
fn image_ended(watch: &mut Watch<'_, '_>) {
    if let Some(id) = watch.param_id("id").filter(|_| watch.done()) {
        watch.close_all(id, watch.first());
    }
}

/// Deleting an account ends all of its things inside the job; disabling it stops its VMs.
fn account_ended(watch: &mut Watch<'_, '_>, only_stops: bool) {
    if !watch.done() || watch.says("lock") == Some(true) {
        return;
    }
    let id = watch.param("id").map(CsAccountId::from);
    let named = watch.param("account").map(str::to_owned);
    let call = &watch.call.owner;
    let target = |open: &Interval| {
        let by_id = id.is_some() && open.owner.account == id;
        let by_name = open.owner.account_name.is_some()
            && open.owner.domain == call.domain
            && (open.owner.account_name == named
                || (id.is_some() && call.account == id)
                    && open.owner.account_name == call.account_name);
        open.owner.project.is_none() && (by_id || by_name)
    };
    owners_things_end(watch, &target, only_stops);
}

fn project_ended(watch: &mut Watch<'_, '_>) {
    if let Some(id) = watch
        .param("id")
        .map(CsProjectId::from)
        .filter(|_| watch.done())
    {
        let target = |open: &Interval| open.owner.project.as_ref() == Some(&id);
        owners_things_end(watch, &target, false);
    }
}

/// Each ends at its own second within the job, of which nothing tells more.
fn owners_things_end(
    watch: &mut Watch<'_, '_>,
    target: &dyn Fn(&Interval) -> bool,
    only_stops: bool,
) {
    let (at, loose) = (watch.completed(), watch.job_length());
    let running = [UsageType::RunningVm, UsageType::NetworkOffering];
    let things: Vec<Interval> = watch
        .inventory
        .running()
        .filter(|open| target(open))
        .filter(|open| !only_stops || running.contains(&open.meter.usage_type))
        .cloned()
        .collect();
    for open in things {
        watch.learn(Fact::Loose(open.meter.resource.clone(), at, loose));
        watch.learn(Fact::ByItself(
            ByItself::OwnerEnded,
            Some(open.meter.resource.clone()),
            open.owner,
        ));
        watch.close(open.meter, at);
    }
}
