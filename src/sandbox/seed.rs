//! Edge: the cloud a stand-in starts with: the domain ROOT, its admin with keys, offerings.

use super::cloud::{Cloud, Moment, next_number};
use super::records::{Account, DiskOffering, Domain, Offering, User, VmSize};

/// A cloud with nothing of a customer's in it.
#[must_use]
pub fn cloud(moment: Moment<'_>) -> Cloud {
    let mut cloud = Cloud::default();
    let root = (moment.fresh)();
    cloud.domains.insert(Domain {
        number: 1,
        id: root.clone(),
        name: "ROOT".to_owned(),
        path: "ROOT".to_owned(),
        created: moment.now,
        ..Domain::default()
    });
    let account = (moment.fresh)();
    cloud.accounts.insert(Account {
        number: 2,
        id: account.clone(),
        name: "admin".to_owned(),
        kind: 1,
        domain: root,
        state: "enabled".to_owned(),
        created: moment.now,
        is_default: true,
        ..Account::default()
    });
    cloud.users.insert(User {
        number: 2,
        id: (moment.fresh)(),
        name: "admin".to_owned(),
        password: "password".to_owned(),
        first: "Admin".to_owned(),
        last: "User".to_owned(),
        email: "admin@example.com".to_owned(),
        account,
        state: "enabled".to_owned(),
        created: moment.now,
        api_key: Some(new_key(moment)),
        secret: Some(new_key(moment)),
        is_default: true,
        removed: false,
    });
    offerings(&mut cloud, moment);
    cloud.reindex();
    cloud
}

/// Id, name, text, size, id of the hidden disk offering. Ids are a recorded server's, so that
/// recorded calls can be sent again.
type OfferingRow<'a> = (&'a str, &'a str, &'a str, Option<(i64, i64, i64)>, &'a str);

const OFFERINGS: [OfferingRow<'_>; 3] = [
    (
        "7ec359c5-e408-4df1-b966-790081c181fc",
        "Small",
        "Small Instance",
        Some((1, 500, 1_024)),
        "080f4847-11bf-4900-b632-1172c268e5b9",
    ),
    (
        "a47dc925-4bd6-4330-af3e-01736b0e8760",
        "Medium",
        "Medium Instance",
        Some((2, 500, 4_096)),
        "bac6605b-7249-4245-8aee-03bc78694264",
    ),
    (
        "d99a6a50-4bab-4650-a13d-6f69ce5d0c8b",
        "Custom",
        "Custom constrained",
        None,
        "368244c6-d0de-4e0e-88d1-7b65f1d6447f",
    ),
];

const DISKS: [(&str, &str, &str, i64); 4] = [
    (
        "d4ff56d1-b0f4-4a87-839f-622c944ecbcd",
        "Small",
        "Small Disk, 5 GB",
        5,
    ),
    (
        "d3c025f7-bf74-4ba8-955c-b22549ad21a9",
        "Medium",
        "Medium Disk, 20 GB",
        20,
    ),
    (
        "94d9a729-6027-49d6-b82e-c2ce08a3aa9b",
        "Large",
        "Large Disk, 100 GB",
        100,
    ),
    (
        "417a38c3-4999-4e1c-babe-8f477285aabc",
        "Custom",
        "Custom Disk",
        0,
    ),
];

fn offerings(cloud: &mut Cloud, moment: Moment<'_>) {
    for (id, name, text, size, disk) in OFFERINGS {
        let size = size.map(|(cpus, speed, memory)| VmSize {
            cpus,
            speed,
            memory,
        });
        cloud.offerings.insert(Offering {
            number: next_number(&cloud.offerings),
            id: id.to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
            size,
            disk: disk.to_owned(),
            created: moment.now,
            removed: false,
        });
    }
    for (id, name, text, gib) in DISKS {
        cloud.disk_offerings.insert(DiskOffering {
            number: next_number(&cloud.disk_offerings),
            id: id.to_owned(),
            name: name.to_owned(),
            text: text.to_owned(),
            gib,
            created: moment.now,
            removed: false,
        });
    }
}

/// A key or secret of 86 characters, as CloudStack's are.
#[must_use]
pub fn new_key(moment: Moment<'_>) -> String {
    let mut key = String::new();
    while key.len() < 86 {
        key.extend((moment.fresh)().chars().filter(char::is_ascii_alphanumeric));
    }
    key.truncate(86);
    key
}
