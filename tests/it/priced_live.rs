//! Edge: raising calls beyond the first fare, through a gate before a cloud that runs: priced,
//! held, or refused.

use crate::stage::Stage;

fn balances(stage: &Stage) -> String {
    let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
    let paula = told.lines().find(|line| line.starts_with("prepaid-paula"));
    paula.unwrap().to_owned()
}

#[test]
fn a_machine_that_is_recovered_is_priced_like_one_that_is_made() {
    let stage = Stage::start("recovered", &[]);
    let paula = stage.customer(0);
    let made = paula.deploy(&stage.small_vm(0)).unwrap().inside();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(paula.job_end(made["jobid"].as_str().unwrap()), 1);
    let gone = paula.call("destroyVirtualMachine", &[("id", &id)]).unwrap();
    assert_eq!(paula.job_end(gone.inside()["jobid"].as_str().unwrap()), 1);

    let back = paula.call("recoverVirtualMachine", &[("id", &id)]).unwrap();
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(stage.machines("Stopped"), [id]);
}

/// The sandbox has no VPCs and says 530, after which an entity may be there: it stays held at its
/// price for an hour, 20 % tax included, until it is proved that nothing came of it.
#[test]
fn what_may_have_been_made_stays_held_at_its_price() {
    let stage = Stage::start("held", &[]);
    let paula = stage.customer(0);
    let zone = stage.text("/zone_id");
    let some = "11111111-1111-4111-8111-111111111111";
    let vpc = [("name", "v"), ("zoneid", &zone), ("vpcofferingid", some)];
    let heard = paula.call("createVPC", &vpc).unwrap();
    assert_eq!(heard.status, 530, "{heard:?}");
    let now = balances(&stage);
    assert!(now.contains("held 0.004800"), "{now}");
}

#[test]
fn what_is_dearer_than_the_balance_is_refused_whatever_makes_it() {
    let stage = Stage::start("dear", &[]);
    let paula = stage.customer(0);
    let zone = stage.text("/zone_id");
    let small = stage.text("/offerings/small");
    let store = "11111111-1111-4111-8111-111111111111";
    for (command, params) in [
        (
            "createBucket",
            vec![
                ("name", "b"),
                ("quota", "900000000"),
                ("objectstorageid", store),
            ],
        ),
        (
            "createKubernetesCluster",
            vec![
                ("name", "k"),
                ("zoneid", zone.as_str()),
                ("size", "100000"),
                ("kubernetesversionid", store),
                ("serviceofferingid", small.as_str()),
            ],
        ),
    ] {
        let heard = paula.call(command, &params).unwrap();
        assert_eq!(heard.status, 535, "{heard:?}");
        assert!(heard.body.contains("not enough balance"), "{heard:?}");
    }
}
