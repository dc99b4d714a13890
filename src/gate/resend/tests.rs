use super::*;

fn resends() -> Arc<Resends> {
    Arc::new(Resends::new(Clock::system()))
}

#[test]
fn an_equal_request_after_a_delivered_answer_is_a_second_call() {
    let resends = resends();
    let Turn::First(_, delivery) = resends.turn([1; 32]) else {
        panic!("not first")
    };
    delivery.done();
    assert!(matches!(resends.turn([1; 32]), Turn::First(..)));
}

#[test]
fn an_equal_request_beside_one_under_way_is_a_second_call() {
    let resends = resends();
    let _first = resends.turn([1; 32]);
    assert!(matches!(resends.turn([1; 32]), Turn::First(..)));
}

#[test]
fn a_lost_answer_is_given_again_once() {
    let resends = resends();
    drop(resends.turn([1; 32]));
    let Turn::Again(_, delivery) = resends.turn([1; 32]) else {
        panic!("not again")
    };
    delivery.done();
    assert!(matches!(resends.turn([1; 32]), Turn::First(..)));
}

#[test]
fn a_call_that_our_death_cut_off_gets_its_job_once() {
    let resends = resends();
    resends.recall([([1; 32], Some(JobId::from("j")))]);
    let Turn::BeforeUs(Some(job)) = resends.turn([1; 32]) else {
        panic!("not recalled")
    };
    assert_eq!(job.as_str(), "j");
    assert!(matches!(resends.turn([1; 32]), Turn::First(..)));
}

#[test]
fn of_two_equal_requests_only_the_lost_one_is_answered_again() {
    let resends = resends();
    let (first, second) = (resends.turn([1; 32]), resends.turn([1; 32]));
    drop(second);
    let Turn::First(_, delivery) = first else {
        panic!("not first")
    };
    delivery.done();
    assert!(matches!(resends.turn([1; 32]), Turn::Again(..)));
}
