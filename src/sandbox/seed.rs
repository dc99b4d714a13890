//! Pure: the cloud a stand-in starts with: the domain ROOT, its admin with keys, offerings.

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

fn offerings(cloud: &mut Cloud, moment: Moment<'_>) {
    let sizes = [
        ("Small", "Small Instance", Some((1, 500, 1_024))),
        ("Medium", "Medium Instance", Some((2, 1_000, 2_048))),
        ("Large", "Large Instance", Some((4, 1_000, 4_096))),
        ("Custom", "Custom constrained", None),
    ];
    for (name, text, size) in sizes {
        let size = size.map(|(cpus, speed, memory)| VmSize {
            cpus,
            speed,
            memory,
        });
        cloud.offerings.insert(Offering {
            number: next_number(&cloud.offerings),
            id: (moment.fresh)(),
            name: name.to_owned(),
            text: text.to_owned(),
            size,
            disk: (moment.fresh)(),
            created: moment.now,
            removed: false,
        });
    }
    let disks = [
        ("Small", "Small Disk, 5 GB", 5),
        ("Medium", "Medium Disk, 20 GB", 20),
        ("Large", "Large Disk, 100 GB", 100),
        ("Custom", "Custom Disk", 0),
    ];
    for (name, text, gib) in disks {
        cloud.disk_offerings.insert(DiskOffering {
            number: next_number(&cloud.disk_offerings),
            id: (moment.fresh)(),
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
