//! Edge: the management server of a seed: the sandbox's own commands and jobs, reached over a wire
//! in the process. What can be lost, cut, delayed or forgotten is, where the seed says so.

use super::invariants;
use super::mutation::Mutation;
use super::world::{Life, Point, World};
use faregate::cloudstack::envelope::{Format, error_body};
use faregate::cloudstack::query::ParamMap;
use faregate::sandbox::call::{Call, Caller, Reply};
use faregate::sandbox::catalogue::{Command, catalogue};
use faregate::sandbox::refused::{Refused, refused, unauthorized};
use faregate::sandbox::{auth, commands, finish, write};
use faregate::upstream::exchange::Wire;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// How the gate of this life connects.
pub fn wire(world: &Arc<World>, life: &Arc<Life>) -> Wire {
    let (world, life) = (world.clone(), life.clone());
    Wire(Arc::new(move || {
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        if life.is_dead() || world.state().server_away || world.strikes(6) {
            return Err(refused());
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = world.state().server;
        tokio::spawn(connection(world.clone(), life.clone(), server, theirs));
        world.may_die(&life, Point::K4);
        Ok(ours)
    }))
}

async fn connection(world: Arc<World>, life: Arc<Life>, server: u64, mut stream: DuplexStream) {
    let mut read = Vec::new();
    loop {
        let Some(query) = request(&mut stream, &mut read).await else {
            return;
        };
        let gone = {
            let state = world.state();
            state.server != server || state.server_away
        };
        // What the gate wrote after its death was never written.
        if life.is_dead() {
            return std::future::pending().await;
        }
        if gone {
            return;
        }
        let params = ParamMap::parse_as_cloudstack(query.as_bytes(), b"").unwrap_or_default();
        let served = serve(&world, &life, &params).await;
        let Some(answer) = served.filter(|_| world.state().server == server) else {
            return;
        };
        if !send(&world, &life, &params, &mut stream, &answer).await {
            return;
        }
    }
}

/// The query of the next request; none where the connection ends.
async fn request(stream: &mut DuplexStream, read: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            read.drain(..end + 4);
            let target = head.split(' ').nth(1)?;
            return Some(target.split_once('?')?.1.to_owned());
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Writes an answer, whole or cut; false where the connection is over.
async fn send(
    world: &World,
    life: &Life,
    params: &ParamMap,
    stream: &mut DuplexStream,
    answer: &str,
) -> bool {
    world.delay(4).await;
    let raising = !is_read(params.command());
    if world.strikes(if raising { 40 } else { 4 }) {
        world.note(format!("the answer to {} is lost", params.command()));
        if world.has(Mutation::TakesALossForARefusal)
            && raising
            && let Some(command) = catalogue().find(params.command())
        {
            let refused = refused(531, 4365, "not before, but after".to_owned());
            let told = written(command, Err(refused), Format::asked(params.get("response")));
            return stream.write_all(told.as_bytes()).await.is_ok();
        }
        return false;
    }
    if world.strikes(if raising { 15 } else { 2 }) {
        world.note(format!("the answer to {} is cut", params.command()));
        let _ = stream
            .write_all(&answer.as_bytes()[..answer.len() / 2])
            .await;
        if raising {
            world.may_die(life, Point::K7);
        }
        return false;
    }
    let sent = stream.write_all(answer.as_bytes()).await.is_ok();
    if raising {
        world.may_die(life, Point::K8);
    }
    sent
}

async fn serve(world: &Arc<World>, life: &Arc<Life>, params: &ParamMap) -> Option<String> {
    let name = params.command().to_owned();
    let reads = is_read(&name);
    world.count("requests");
    if reads {
        let point = match name.as_str() {
            "getUser" | "getUserKeys" | "listAccounts" | "listDomains" => Point::K1,
            "queryAsyncJobResult" => Point::K0,
            _ => Point::K2,
        };
        world.may_die(life, point);
    }
    world.delay(3).await;
    if !reads && world.strikes(15) {
        world.note(format!("{name} is lost on its way"));
        world.may_die(life, Point::K5);
        return None;
    }
    let caller = caller(world, params);
    let command = catalogue().find(&name)?;
    let format = Format::asked(params.get("response"));
    let outcome = match caller {
        Err(refused) => Err(refused),
        Ok(caller) => perform(world, life, command, params, &caller).await?,
    };
    if world.has(Mutation::ResendsALostAnswer) && !reads && world.strikes(60) {
        let caller = self::caller(world, params).ok()?;
        let _ = perform(world, life, command, params, &caller).await;
    }
    Some(written(command, outcome, format))
}

fn caller(world: &World, params: &ParamMap) -> Result<Caller, Refused> {
    let wall = world.clouds_clock.wall();
    let state = world.state();
    let found = if is_read(params.command()) {
        auth::claimed(&state.cloud, params).and_then(|user| Caller::of_user(&state.cloud, &user.id))
    } else {
        auth::signed(&state.cloud, params, wall)
    };
    found.ok_or_else(unauthorized)
}

/// The command: at once, or in two phases with a job at the end. None: the server dies in it.
async fn perform(
    world: &Arc<World>,
    life: &Arc<Life>,
    command: &Command,
    params: &ParamMap,
    caller: &Caller,
) -> Option<Result<Value, Refused>> {
    let asked = params.get("jobid").unwrap_or_default();
    let forgotten = world.state().purged.contains(asked);
    let mut unknown = params.clone();
    if forgotten {
        unknown.set_value("jobid", "00000000-0000-4000-8000-000000000000".to_owned());
    }
    let raising = invariants::forwarded(world, command.name, params, &caller.account);
    if raising {
        world.may_die(life, Point::K6);
    }
    let reply = world.with_cloud(|cloud, moment| {
        let call = Call {
            command,
            params: if forgotten { &unknown } else { params },
            caller,
            moment,
        };
        commands::run(cloud, &call)
    });
    let (id, instance, work) = match reply {
        Ok(Reply::Now(inside)) => return Some(Ok(inside)),
        Err(_) if world.has(Mutation::TakesUnknownForFailed) && params.get("jobid").is_some() => {
            let failed = json!({ "errorcode": 530, "errortext": "there is no such job" });
            return Some(Ok(
                json!({ "jobstatus": 2, "jobresultcode": 530, "jobresult": failed }),
            ));
        }
        Err(refused) => return Some(Err(refused)),
        Ok(Reply::Job { id, instance, work }) => (id, instance, work),
    };
    if let Some(job) = params.get("customjobid") {
        let mut state = world.state();
        let made = instance.as_ref().and_then(|(_, id)| id.clone());
        state.forwarded.entry(job.to_owned()).or_default().made = made;
    }
    if id.is_some() {
        world.delay(30).await;
        if world.strikes(15) {
            world.note(format!(
                "the server dies in {}, before its job is there",
                command.name
            ));
            world.count("dies-before-job-row");
            return None;
        }
    }
    let begun = world.with_cloud(|cloud, moment| {
        let call = Call {
            command,
            params,
            caller,
            moment,
        };
        let event = finish::schedule(cloud, &work, caller, moment);
        let begun = commands::job::begin(cloud, &call, instance, work, event);
        if let Ok(job) = &begun {
            finish::started(cloud, job, moment);
        }
        begun
    });
    Some(begun.map(|job| {
        world.note(format!("job {} of {} begins", short(&job), command.name));
        run_later(world, job.clone());
        match id {
            Some(id) => json!({ "id": id, "jobid": job }),
            None => json!({ "jobid": job }),
        }
    }))
}

/// The job ends when it is due, well or badly; jobs on one machine one after the other.
fn run_later(world: &Arc<World>, job: String) {
    let world = world.clone();
    let takes = Duration::from_millis(20 + world.below(1_500));
    let due = {
        let mut state = world.state();
        let row = state
            .cloud
            .jobs
            .find(&job)
            .and_then(|job| job.instance.clone());
        let on = row.and_then(|(_, id)| id).unwrap_or_else(|| job.clone());
        let now = tokio::time::Instant::now();
        let free = state.busy.get(&on).copied().unwrap_or(now).max(now);
        state.busy.insert(on, free + takes);
        free + takes
    };
    tokio::spawn(async move {
        tokio::time::sleep_until(due).await;
        let fails = world.strikes(60);
        let cancelled = !fails && world.strikes(50);
        world.with_cloud(|cloud, moment| {
            if fails {
                cloud.faults.insert("job-fails".to_owned(), 1);
            }
            if cancelled {
                finish::cancel(cloud, &job, moment);
            }
            finish::complete(cloud, &job, moment);
            cloud.faults.clear();
        });
        let status = world.state().cloud.jobs.find(&job).map(|job| job.status);
        world.note(format!("job {} ends with {status:?}", short(&job)));
    });
}

/// The server stops and starts: what it was doing is cancelled, every connection ends.
pub fn restart(world: &World) {
    world.note("the management server restarts".to_owned());
    world.with_cloud(|cloud, moment| {
        let pending = cloud.jobs.iter().filter(|job| job.status == 0);
        let pending: Vec<String> = pending.map(|job| job.id.clone()).collect();
        for id in pending {
            finish::cancel(cloud, &id, moment);
        }
    });
    world.state().server += 1;
}

/// Ended jobs are forgotten.
pub fn purge(world: &World) {
    let mut state = world.state();
    let ended = state.cloud.jobs.iter().filter(|job| job.status != 0);
    let ended: Vec<String> = ended.map(|job| job.id.clone()).collect();
    state.purged.extend(ended);
    drop(state);
    world.note("ended jobs are purged".to_owned());
}

fn written(command: &Command, outcome: Result<Value, Refused>, format: Format) -> String {
    let (status, body) = match outcome {
        Ok(inside) => {
            let body = write::body(&command.wrapper, &inside, format, Some(write::VERSION));
            (200, body)
        }
        Err(refused) => {
            let wrapper = refused.wrapper.unwrap_or(&command.wrapper);
            let body = error_body(wrapper, &refused.error, format, Some(write::VERSION));
            (refused.error.code, body)
        }
    };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn is_read(name: &str) -> bool {
    ["list", "get", "query"]
        .iter()
        .any(|lead| name.starts_with(lead))
}

pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
